//! The agreed shape of the model's answer: its JSON schema, and the same again as types that refuse anything else.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::LlmError;

/// What the sender wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    NewRequest,
    Amends,
    Accepts,
    Declines,
    Question,
    FollowUp,
    Duplicate,
    NotARequest,
}

/// An answer of the right shape. Nothing in it is checked against mail or products yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub intent: Intent,
    pub language: String,
    pub confidence: f64,
    pub customer_name: Option<String>,
    pub deadline: Option<NaiveDate>,
    pub items: Vec<AnsweredItem>,
    /// Lines of the quote that are not wanted any more.
    #[serde(default)]
    pub dropped: Vec<DroppedLine>,
    /// The words that accept or decline.
    #[serde(default)]
    pub decision: Option<String>,
    /// What the sender attaches to it.
    #[serde(default)]
    pub condition: Option<String>,
    /// The earlier mail that is repeated.
    #[serde(default)]
    pub duplicate_of: Option<String>,
    pub problem: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DroppedLine {
    pub line: i32,
    pub excerpt: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnsweredItem {
    /// The line of the quote that this is, changed or not.
    #[serde(default)]
    pub line: Option<i32>,
    pub excerpt: String,
    pub sku: Option<String>,
    pub quantity: Option<String>,
    pub material: Option<String>,
    pub dimensions: Vec<AnsweredDimension>,
    pub problem: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnsweredDimension {
    pub name: String,
    pub value: String,
    pub unit: String,
}

impl Answer {
    /// Tells text that is not JSON from JSON of another shape.
    pub(super) fn parse(content: &str) -> Result<Self, LlmError> {
        let value: Value =
            serde_json::from_str(content).map_err(|error| LlmError::Malformed { detail: error.to_string() })?;
        serde_json::from_value(value)
            .map_err(|error| LlmError::NotInSchema { detail: super::error::short(&error.to_string()) })
    }
}

/// The strict subset: every property required, none besides, nullable instead of optional.
pub(super) fn schema() -> Value {
    let text = json!({ "type": "string" });
    let maybe_text = json!({ "type": ["string", "null"] });
    let dimension = object(&json!({ "name": text, "value": text, "unit": text }));
    let dropped = object(&json!({ "line": { "type": "integer" }, "excerpt": text }));
    let item = object(&json!({
        "line": { "type": ["integer", "null"] },
        "excerpt": text,
        "sku": maybe_text,
        "quantity": maybe_text,
        "material": maybe_text,
        "dimensions": { "type": "array", "items": dimension },
        "problem": maybe_text,
    }));
    object(&json!({
        "intent": { "type": "string", "enum": [
            "new_request", "amends", "accepts", "declines", "question", "follow_up", "duplicate", "not_a_request",
        ] },
        "language": text,
        "confidence": { "type": "number" },
        "customer_name": maybe_text,
        "deadline": maybe_text,
        "items": { "type": "array", "items": item },
        "dropped": { "type": "array", "items": dropped },
        "decision": maybe_text,
        "condition": maybe_text,
        "duplicate_of": maybe_text,
        "problem": maybe_text,
    }))
}

fn object(properties: &Value) -> Value {
    let required: Vec<&String> = properties.as_object().map(|map| map.keys().collect()).unwrap_or_default();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Answer, LlmError, schema};

    fn answer() -> Value {
        json!({
            "intent": "new_request", "language": "de", "confidence": 0.9, "customer_name": null,
            "deadline": "2026-12-01", "problem": null,
            "items": [{ "excerpt": "4 Platten", "sku": "P1", "quantity": "4", "material": null, "problem": null,
                "dimensions": [{ "name": "length", "value": "1200", "unit": "mm" }] }],
        })
    }

    #[test]
    fn the_schema_is_strict_everywhere_and_admits_the_answer() {
        let mut open = vec![schema()];
        while let Some(node) = open.pop() {
            if node["type"] == "object" {
                assert_eq!(node["additionalProperties"], false);
                assert_eq!(node["required"].as_array().unwrap().len(), node["properties"].as_object().unwrap().len());
            }
            match node {
                Value::Object(map) => open.extend(map.into_iter().map(|(_, value)| value)),
                Value::Array(list) => open.extend(list),
                _ => {}
            }
        }
        let parsed = Answer::parse(&answer().to_string()).unwrap();
        assert_eq!(parsed.items[0].dimensions[0].unit, "mm");
    }

    #[test]
    fn text_that_is_not_json_and_json_of_another_shape_are_told_apart() {
        assert!(matches!(Answer::parse("Sure! Here is"), Err(LlmError::Malformed { .. })));
        for (key, value) in
            [("intent", json!("order")), ("extra", json!(1)), ("items", json!({})), ("deadline", json!("soon"))]
        {
            let mut broken = answer();
            broken[key] = value;
            let parsed = Answer::parse(&broken.to_string());
            assert!(matches!(parsed, Err(LlmError::NotInSchema { .. })), "{key}: {parsed:?}");
        }
    }
}
