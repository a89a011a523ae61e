//! JSON of any shape in which no object names a member twice.
//!
//! serde refuses that for our own types; `Value` would keep the last one, while others who read the same text may keep the first.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// For a member of any shape: `#[serde(deserialize_with = "unique")]`.
pub fn unique<'de, D: Deserializer<'de>>(reader: D) -> Result<Value, D::Error> {
    Shape.deserialize(reader)
}

/// The same for one that may be absent; its `null` is none.
pub fn unique_or_none<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Value>, D::Error> {
    unique(reader).map(|value| if value.is_null() { None } else { Some(value) })
}

struct Shape;

impl<'de> DeserializeSeed<'de> for Shape {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shape {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        Self.deserialize(reader)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if all.contains_key(&name) {
                let name: String = name.chars().take(64).collect();
                return Err(A::Error::custom(format!("duplicate field `{name}`")));
            }
            let value = members.next_value_seed(Self)?;
            all.insert(name, value);
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::unique;

    #[test]
    fn any_json_is_read_as_it_is_unless_a_member_comes_twice() {
        let read =
            |text: &str| unique(&mut serde_json::Deserializer::from_str(text)).map_err(|error| error.to_string());
        for text in [
            "null",
            "true",
            "-7",
            "18446744073709551615",
            "0.5",
            "\"x\\u00e9\"",
            "[]",
            "{}",
            r#"{"a":[1,{"b":null,"c":[[]]}],"b":{"a":1}}"#,
        ] {
            assert_eq!(read(text), Ok(serde_json::from_str::<Value>(text).unwrap()), "{text}");
        }
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"x":1,"y":2,"x":3}}]"#, r#"{"a":1,"\u0061":2}"#] {
            assert!(read(text).unwrap_err().contains("duplicate field"), "{text}");
        }
    }
}
