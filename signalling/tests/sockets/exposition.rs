//! The text format of Prometheus, read strictly.

use std::collections::{BTreeMap, HashSet};

/// What a relay says of itself.
pub(crate) struct Exposition {
    samples: BTreeMap<String, f64>,
}

impl Exposition {
    /// Reads `/metrics`; panics at whatever is not as the format or the customs of Prometheus have it.
    pub(crate) fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has no end");
        let mut samples = BTreeMap::new();
        let mut families = HashSet::new();
        let mut lines = text.lines().peekable();
        while let Some(help) = lines.next() {
            let (name, sentence) = help
                .strip_prefix("# HELP ")
                .and_then(|rest| rest.split_once(' '))
                .unwrap_or_else(|| panic!("HELP comes first: {help}"));
            assert!(sentence.ends_with('.'), "no sentence: {help}");
            let kind = lines
                .next()
                .and_then(|line| line.strip_prefix(&format!("# TYPE {name} ")))
                .unwrap_or_else(|| panic!("TYPE comes second: {name}"));
            check_name(name, kind);
            assert!(families.insert(name.to_owned()), "{name} comes twice");
            let mut of_family = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
                let (series, value) = line.rsplit_once(' ').expect("a value");
                let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
                assert!(value >= 0.0, "{line}");
                of_family.push((series.to_owned(), value));
            }
            assert!(!of_family.is_empty(), "{name} has no samples");
            if kind == "histogram" {
                check_histogram(name, &of_family);
            }
            for (series, value) in of_family {
                let (base, labels) = series.split_once('{').unwrap_or((&series, "}"));
                assert!(kind == "histogram" || base == name, "{series} in {name}");
                check_labels(labels);
                let before = samples.insert(series.clone(), value);
                assert_eq!(before, None, "{series} comes twice");
            }
        }
        Self { samples }
    }

    /// The value of one series, labels included.
    #[track_caller]
    pub(crate) fn value(&self, series: &str) -> f64 {
        *self
            .samples
            .get(series)
            .unwrap_or_else(|| panic!("no {series} in {:?}", self.samples.keys()))
    }

    /// How many series there are.
    pub(crate) fn len(&self) -> usize {
        self.samples.len()
    }
}

fn check_name(name: &str, kind: &str) {
    let is_plain = |c: char| c.is_ascii_lowercase() || c == '_';
    assert!(name.chars().all(is_plain), "{name}");
    assert!(
        name.starts_with("aldis_relay_") || name.starts_with("process_"),
        "{name}"
    );
    assert!(
        matches!(kind, "counter" | "gauge" | "histogram"),
        "{name} is a {kind}"
    );
    assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
    for word in [
        "_ms",
        "_milliseconds",
        "_kb",
        "_kib",
        "_count",
        "_bucket",
        "_sum",
    ] {
        assert!(!name.ends_with(word), "{name}");
    }
    let is_of_time = ["duration", "wait", "time"]
        .iter()
        .any(|word| name.split('_').any(|part| part == *word));
    assert!(!is_of_time || name.contains("_seconds"), "{name}");
    let is_of_size = name.contains("memory");
    assert!(!is_of_size || name.contains("_bytes"), "{name}");
}

/// Of what stands behind the bracket: `name="value"}`, with values nobody from outside can choose.
fn check_labels(labels: &str) {
    let inside = labels.strip_suffix('}').expect("an end of the labels");
    if inside.is_empty() {
        return;
    }
    let (label, value) = inside.split_once("=\"").expect("one label");
    let value = value.strip_suffix('"').expect("an end of the value");
    assert!(
        matches!(label, "reason" | "le" | "version"),
        "an unknown label: {labels}"
    );
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c);
    assert!(value.chars().all(is_plain), "{labels}");
}

fn check_histogram(name: &str, samples: &[(String, f64)]) {
    let the_one = |suffix: &str| {
        let series = format!("{name}{suffix}");
        let mut found = samples.iter().filter(|(other, _)| *other == series);
        let value = found.next().unwrap_or_else(|| panic!("no {series}")).1;
        assert!(found.next().is_none(), "{series} comes twice");
        value
    };
    let (sum, count) = (the_one("_sum"), the_one("_count"));
    let prefix = format!("{name}_bucket{{le=\"");
    let buckets: Vec<(f64, f64)> = samples
        .iter()
        .filter_map(|(series, value)| {
            let bound = series.strip_prefix(&prefix)?.strip_suffix("\"}")?;
            Some((bound.parse().expect("a bound"), *value))
        })
        .collect();
    assert_eq!(buckets.len() + 2, samples.len(), "{samples:?}");
    assert!(buckets.len() > 3, "{name}");
    let both_rise = |pair: &[(f64, f64)]| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1;
    assert!(buckets.windows(2).all(both_rise), "{buckets:?}");
    assert_eq!(buckets.last(), Some(&(f64::INFINITY, count)), "{name}");
    assert!(count > 0.0 || sum == 0.0, "{name}");
}
