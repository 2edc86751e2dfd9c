//! Pictures of pipelines, as Graphviz takes them.

use std::fmt::Write as _;

use crate::redaction::redact;

/// Puts several graphs, each with its name, beside one another into one.
pub fn merge(graphs: &[(String, String)]) -> String {
    let mut merged = "digraph aldis {\n  rankdir=LR;\n  compound=true;\n".to_owned();
    for (number, (name, graph)) in graphs.iter().enumerate() {
        // Writing into memory does not fail.
        let _ = writeln!(
            merged,
            "  subgraph cluster_aldis_{number} {{\n    // {}\n{}  }}",
            name.escape_debug(),
            redact(body(graph))
        );
    }
    merged.push_str("}\n");
    merged
}

/// What stands between the braces of a graph.
fn body(graph: &str) -> &str {
    match (graph.find('{'), graph.rfind('}')) {
        (Some(begin), Some(end)) if begin < end => graph.get(begin + 1..end).unwrap_or_default(),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphs_stand_beside_one_another_without_passwords() {
        let graph = |inside: &str| format!("digraph pipeline {{\n{inside}\n}}\n");
        let merged = merge(&[
            (
                "peer\n".into(),
                graph("a [label=\"turn://u:swordfish@h\"];"),
            ),
            ("source".into(), graph("b;")),
            ("broken".into(), "nothing".into()),
        ]);
        assert!(!merged.contains("swordfish"), "{merged}");
        assert_eq!(merged.matches("subgraph cluster_aldis_").count(), 3);
        assert_eq!(merged.matches('{').count(), merged.matches('}').count());
        assert!(merged.contains("// peer\\n\n"), "{merged}");
    }
}
