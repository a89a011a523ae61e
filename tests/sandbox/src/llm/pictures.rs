//! Pictures, as a model that sees gets them. This one knows what stands in those of `tests/documents` and sees nothing in others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// A picture, and what a person reads in it.
const KNOWN: &[(&[u8], &str)] = &[
    (include_bytes!("../../../documents/27-photo.jpg"), "5 banners 3 x 1 m PVC"),
    (include_bytes!("../../../documents/28-sketch.png"), "5 banners 3 x 1 m PVC"),
];
/// As the real service: larger ones are refused.
const MOST_BYTES: usize = 20 * 1024 * 1024;

/// What stands in each picture of a message; errors are for the caller to read.
pub(super) fn of(content: &Value) -> Result<Vec<Option<&'static str>>, String> {
    let parts = content.as_array().map(Vec::as_slice).unwrap_or_default();
    let urls = parts.iter().filter(|part| part["type"] == "image_url").map(|part| &part["image_url"]["url"]);
    urls.map(|url| {
        let data =
            url.as_str().and_then(|url| url.strip_prefix("data:image/")).ok_or("only data URLs are taken here")?;
        let coded = data.split_once(";base64,").ok_or("a data URL holds base64")?.1;
        let bytes = STANDARD.decode(coded).map_err(|error| format!("the picture is no base64: {error}"))?;
        if bytes.len() > MOST_BYTES {
            return Err("the picture is too large".to_owned());
        }
        Ok(KNOWN.iter().find(|(known, _)| *known == bytes).map(|(_, text)| *text))
    })
    .collect()
}
