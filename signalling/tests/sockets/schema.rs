//! The part of OpenAPI and JSON Schema that the relay's own description uses, checked strictly: a word
//! that is not understood is a failure, not something to pass over.

use serde_json::{Map, Value};

/// An OpenAPI document.
pub(crate) struct Document(pub(crate) Value);

impl Document {
    /// Every answer it describes, as path, method in capitals, and status.
    pub(crate) fn answers(&self) -> Vec<(String, String, u16)> {
        let mut answers = Vec::new();
        for (path, operations) in fields(&self.0["paths"]) {
            for (method, operation) in fields(operations) {
                for status in fields(&operation["responses"]).keys() {
                    let status = status.parse().expect("a status");
                    answers.push((path.clone(), method.to_uppercase(), status));
                }
            }
        }
        answers
    }

    /// The description of an answer.
    pub(crate) fn response(&self, path: &str, method: &str, status: u16) -> &Value {
        let operation = &self.0["paths"][path][method.to_lowercase()];
        let response = &operation["responses"][status.to_string()];
        assert!(
            response.is_object(),
            "{method} {path} with {status} is not described"
        );
        self.resolve(response)
    }

    /// Follows a reference.
    pub(crate) fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value.get("$ref") else {
            return value;
        };
        let pointer = text(reference).strip_prefix('#').expect("a local one");
        self.0
            .pointer(pointer)
            .unwrap_or_else(|| panic!("nothing at {pointer}"))
    }

    /// Panics unless the value is what the schema says; `at` says in the panic where that is.
    pub(crate) fn check(&self, schema: &Value, value: &Value, at: &str) {
        let schema = fields(self.resolve(schema));
        if let Some(kind) = schema.get("type") {
            let is_of_kind = match text(kind) {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_u64() || value.is_i64(),
                other => panic!("{at}: the type {other} is not understood"),
            };
            assert!(is_of_kind, "{at}: {value} is no {kind}");
        }
        for (word, rule) in schema {
            match word.as_str() {
                "type" | "description" => {}
                "const" => assert_eq!(value, rule, "{at}"),
                "enum" => assert!(items(rule).contains(value), "{at}: {value}"),
                "minLength" => {
                    let length = text(value).chars().count() as u64;
                    assert!(length >= number(rule), "{at}: {value}");
                }
                "minimum" => assert!(number(value) >= number(rule), "{at}: {value}"),
                "minItems" => {
                    assert!(items(value).len() as u64 >= number(rule), "{at}: {value}");
                }
                "items" => {
                    for (index, item) in items(value).iter().enumerate() {
                        self.check(rule, item, &format!("{at}[{index}]"));
                    }
                }
                "required" => {
                    for name in items(rule) {
                        assert!(
                            value.get(text(name)).is_some(),
                            "{at}: no {name} in {value}"
                        );
                    }
                }
                "properties" => self.check_properties(schema, value, at),
                "additionalProperties" => assert_eq!(rule, &Value::Bool(false), "{at}"),
                other => panic!("{at}: the word {other} is not understood"),
            }
        }
    }

    fn check_properties(&self, schema: &Map<String, Value>, object: &Value, at: &str) {
        for (name, value) in fields(object) {
            match schema["properties"].get(name) {
                Some(of) => self.check(of, value, &format!("{at}.{name}")),
                None => assert!(
                    !schema.contains_key("additionalProperties"),
                    "{at}: nothing is said about {name}"
                ),
            }
        }
    }
}

pub(crate) fn fields(value: &Value) -> &Map<String, Value> {
    value
        .as_object()
        .unwrap_or_else(|| panic!("no object: {value}"))
}

fn items(value: &Value) -> &Vec<Value> {
    value
        .as_array()
        .unwrap_or_else(|| panic!("no list: {value}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn a_value_that_breaks_a_rule_is_found() {
    let schema: Value = serde_json::from_str(
        r##"{"type": "object", "required": ["a"], "additionalProperties": false, "properties": {
            "a": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": ["x", "y"]}},
            "b": {"type": "integer", "minimum": 3},
            "c": {"$ref": "#/text"}}}"##,
    )
    .expect("JSON");
    let document = Document(serde_json::json!({ "text": { "type": "string", "minLength": 2 } }));
    let holds = |value: &str| {
        let value: Value = serde_json::from_str(value).expect("JSON");
        let check = std::panic::AssertUnwindSafe(|| document.check(&schema, &value, "it"));
        std::panic::catch_unwind(check).is_ok()
    };
    for good in [r#"{"a": ["x"]}"#, r#"{"a": ["x", "y"], "b": 3, "c": "zz"}"#] {
        assert!(holds(good), "{good}");
    }
    for bad in [
        "[]",
        "{}",
        r#"{"a": []}"#,
        r#"{"a": ["z"]}"#,
        r#"{"a": [1]}"#,
        r#"{"a": ["x"], "b": 2}"#,
        r#"{"a": ["x"], "b": "3"}"#,
        r#"{"a": ["x"], "c": "z"}"#,
        r#"{"a": ["x"], "d": 1}"#,
    ] {
        assert!(!holds(bad), "{bad}");
    }
}
