//! Exact decimals on the wire: always as text, because a JSON number is a binary fraction to most readers.

use postrider_shared::database::Exact;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A decimal such as `"12.50"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = r"^-?[0-9]{1,20}(\.[0-9]{1,8})?$", example = "12.50")]
pub struct DecimalText(pub Decimal);

impl TryFrom<String> for DecimalText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
        let value = Decimal::from_str_exact(&text).ok().filter(|_| plain && text.len() <= 30);
        value.map(Self).ok_or_else(|| "expected a decimal as text, such as \"12.50\"".to_owned())
    }
}

impl From<DecimalText> for String {
    fn from(value: DecimalText) -> Self {
        value.0.to_string()
    }
}

impl From<Decimal> for DecimalText {
    fn from(value: Decimal) -> Self {
        Self(value)
    }
}

impl From<Exact> for DecimalText {
    fn from(value: Exact) -> Self {
        Self(value.0)
    }
}

#[cfg(test)]
mod tests {
    use super::DecimalText;

    #[test]
    fn decimals_are_exact_texts() {
        let value: DecimalText = serde_json::from_str("\"0.10\"").unwrap();
        assert_eq!(serde_json::to_string(&value).unwrap(), "\"0.10\"");
        for wrong in
            ["0.1", "\"\"", "\"1e3\"", "\"1,5\"", "\"NaN\"", "\"0.00000000000000000000000000000000001\"", "null"]
        {
            assert!(serde_json::from_str::<DecimalText>(wrong).is_err(), "{wrong}");
        }
    }
}
