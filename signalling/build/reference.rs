//! An OpenAPI document as a page to read: nothing but headings, paragraphs and tables.
//!
//! Knows as much of OpenAPI as the document of this relay uses, and refuses what it does not
//! understand, so that nothing is left out without a word.

use std::fmt::Write as _;

use serde_json::{Map, Value};

type Result<T> = std::result::Result<T, String>;

/// Makes the page. An error says what in the document was not understood.
pub(crate) fn page(document: &str) -> Result<String> {
    let document: Value =
        serde_json::from_str(document).map_err(|error| format!("openapi.json: {error}"))?;
    let reference = Reference {
        document: &document,
    };
    let info = object(&document, "info")?;
    let (title, version) = (text(info, "title")?, text(info, "version")?);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <title>{title}: HTTP</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <link rel=\"icon\" href=\"favicon.svg\" type=\"image/svg+xml\">\n\
         <link rel=\"stylesheet\" href=\"api/style.css\">\n</head>\n<body>\n\
         <header>\n<h1>{title} <small>{version}</small></h1>\n{}\
         <p><a href=\"api/openapi.json\">As OpenAPI</a> · <a href=\"./\">The browser page</a></p>\n\
         </header>\n<main>\n",
        paragraphs(text(info, "description")?),
        title = escaped(title),
        version = escaped(version),
    );
    page += &reference.contents()?;
    for (path, operations) in object(&document, "paths")? {
        for (method, operation) in fields(operations)? {
            page += &reference.operation(path, method, fields(operation)?)?;
        }
    }
    page += "<h2 id=\"schemas\">Objects</h2>\n";
    for (name, schema) in object(&document["components"], "schemas")? {
        page += &reference.schema(name, fields(schema)?)?;
    }
    page += "</main>\n</body>\n</html>\n";
    Ok(page)
}

struct Reference<'a> {
    document: &'a Value,
}

impl<'a> Reference<'a> {
    fn contents(&self) -> Result<String> {
        let mut rows = String::new();
        for (path, operations) in object(self.document, "paths")? {
            for (method, operation) in fields(operations)? {
                let operation = fields(operation)?;
                rows += &row(&[
                    &format!(
                        "<a href=\"#{}\"><code>{}</code></a>",
                        escaped(text(operation, "operationId")?),
                        escaped(&heading(path, method))
                    ),
                    &marked_up(text(operation, "summary")?),
                ]);
            }
        }
        Ok(table(&["Request", "Answer"], &rows))
    }

    fn operation(
        &self,
        path: &str,
        method: &str,
        operation: &Map<String, Value>,
    ) -> Result<String> {
        let mut section = format!(
            "<section id=\"{}\">\n<h2><code>{}</code></h2>\n<p><strong>{}.</strong></p>\n",
            escaped(text(operation, "operationId")?),
            escaped(&heading(path, method)),
            marked_up(text(operation, "summary")?),
        );
        if let Some(description) = operation.get("description") {
            section += &paragraphs(string(description)?);
        }
        let parameters = self.parameters(operation)?;
        if !parameters.is_empty() {
            section += &table(&["Parameter", "Where", "Meaning"], &parameters);
        }
        section += &self.responses(operation)?;
        section += "</section>\n";
        Ok(section)
    }

    /// What a request may bring along, tokens included.
    fn parameters(&self, operation: &Map<String, Value>) -> Result<String> {
        let mut rows = String::new();
        if let Some(parameters) = operation.get("parameters") {
            for parameter in items(parameters)? {
                let parameter = self.resolve(parameter)?;
                rows += &row(&[
                    &code(text(parameter, "name")?),
                    &escaped(text(parameter, "in")?),
                    &marked_up(text(parameter, "description")?),
                ]);
            }
        }
        let schemes = object(&self.document["components"], "securitySchemes")?;
        for name in items(&operation["security"])?
            .iter()
            .filter_map(Value::as_object)
            .flat_map(Map::keys)
        {
            let scheme = fields(&schemes[name])?;
            let (name, place) = match text(scheme, "type")? {
                "http" => ("Authorization", "header"),
                "apiKey" => (text(scheme, "name")?, text(scheme, "in")?),
                other => return Err(format!("a security scheme of type {other}")),
            };
            rows += &row(&[
                &code(name),
                &escaped(place),
                &marked_up(text(scheme, "description")?),
            ]);
        }
        Ok(rows)
    }

    fn responses(&self, operation: &Map<String, Value>) -> Result<String> {
        let (mut rows, mut examples) = (String::new(), String::new());
        let responses = operation.get("responses").ok_or("no responses")?;
        for (status, response) in fields(responses)? {
            let response = self.resolve(response)?;
            let mut bodies = Vec::new();
            if let Some(content) = response.get("content") {
                for (media_type, body) in fields(content)? {
                    bodies.push(body_of(media_type, &body["schema"])?);
                    if let Some(example) = body.get("example") {
                        let json = serde_json::to_string_pretty(example)
                            .map_err(|error| error.to_string())?;
                        let _ = writeln!(examples, "<pre>{}</pre>", escaped(&json));
                    }
                }
            }
            let headers: Vec<_> = match response.get("headers") {
                Some(headers) => fields(headers)?.keys().map(|name| code(name)).collect(),
                None => Vec::new(),
            };
            rows += &row(&[
                &code(status),
                &marked_up(text(response, "description")?),
                &bodies.join(", "),
                &headers.join(", "),
            ]);
        }
        Ok(table(&["Status", "Meaning", "Body", "Headers"], &rows) + &examples)
    }

    fn schema(&self, name: &str, schema: &Map<String, Value>) -> Result<String> {
        let mut section = format!(
            "<section id=\"{name}\">\n<h3>{name}</h3>\n{}",
            paragraphs(text(schema, "description")?),
            name = escaped(name),
        );
        let required = items(schema.get("required").ok_or("no required")?)?;
        let mut rows = String::new();
        for (property, of) in fields(schema.get("properties").ok_or("no properties")?)? {
            let is_required = required.iter().any(|name| name == property);
            rows += &row(&[
                &code(property),
                &kind(of)?,
                if is_required { "always" } else { "" },
                &marked_up(of["description"].as_str().unwrap_or_default()),
            ]);
        }
        section += &table(&["Field", "Type", "There", "Meaning"], &rows);
        section += "</section>\n";
        Ok(section)
    }

    /// Follows a `$ref` inside the document.
    fn resolve(&self, value: &'a Value) -> Result<&'a Map<String, Value>> {
        let Some(reference) = value.get("$ref") else {
            return fields(value);
        };
        let pointer = string(reference)?.trim_start_matches('#');
        let target = self.document.pointer(pointer);
        fields(target.ok_or_else(|| format!("nothing is at {pointer}"))?)
    }
}

fn heading(path: &str, method: &str) -> String {
    format!("{} {path}", method.to_uppercase())
}

fn body_of(media_type: &str, schema: &Value) -> Result<String> {
    Ok(match schema.get("$ref") {
        Some(_) => kind(schema)?,
        None => code(media_type),
    })
}

/// The type of a value, with a link to that of an object.
fn kind(schema: &Value) -> Result<String> {
    if let Some(reference) = schema.get("$ref") {
        let name = string(reference)?.rsplit('/').next().unwrap_or_default();
        return Ok(format!("<a href=\"#{name}\">{name}</a>"));
    }
    if let Some(choices) = schema.get("enum") {
        let choices: Result<Vec<_>> = items(choices)?
            .iter()
            .map(|choice| Ok(code(string(choice)?)))
            .collect();
        return Ok(choices?.join(", "));
    }
    match string(&schema["type"])? {
        "array" => Ok(format!("list of {}", kind(&schema["items"])?)),
        name @ ("string" | "integer") => Ok(name.to_owned()),
        other => Err(format!("a field of type {other}")),
    }
}

fn table(heads: &[&str], rows: &str) -> String {
    let heads: String = heads
        .iter()
        .map(|head| format!("<th scope=\"col\">{head}</th>"))
        .collect();
    format!(
        "<div class=\"table\"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}

fn row(cells: &[&str]) -> String {
    let cells: String = cells
        .iter()
        .map(|cell| format!("<td>{cell}</td>"))
        .collect();
    format!("<tr>{cells}</tr>\n")
}

fn paragraphs(text: &str) -> String {
    text.split("\n\n")
        .map(|paragraph| format!("<p>{}</p>\n", marked_up(paragraph)))
        .collect()
}

/// What stands between backquotes is code, all else is text.
fn marked_up(text: &str) -> String {
    text.split('`')
        .enumerate()
        .map(|(number, part)| match number % 2 {
            0 => escaped(part),
            _ => code(part),
        })
        .collect()
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escaped(text))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn object<'v>(value: &'v Value, name: &str) -> Result<&'v Map<String, Value>> {
    value[name]
        .as_object()
        .ok_or_else(|| format!("{name} is no object"))
}

fn fields(value: &Value) -> Result<&Map<String, Value>> {
    value
        .as_object()
        .ok_or_else(|| format!("no object: {value}"))
}

fn items(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().ok_or_else(|| format!("no list: {value}"))
}

fn text<'v>(object: &'v Map<String, Value>, name: &str) -> Result<&'v str> {
    string(object.get(name).ok_or_else(|| format!("no {name}"))?)
}

fn string(value: &Value) -> Result<&str> {
    value.as_str().ok_or_else(|| format!("no text: {value}"))
}
