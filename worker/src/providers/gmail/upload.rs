//! `multipart/related` (RFC 2387): the resource as JSON, and the message as it is.

use serde_json::Value;

/// The content type and the body. The boundary does not occur in the message.
pub(super) fn related(resource: &Value, raw: &[u8]) -> (String, Vec<u8>) {
    let boundary = boundary(raw);
    let mut body = Vec::with_capacity(raw.len() + 400);
    let head = format!(
        "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{resource}\r\n\
         --{boundary}\r\nContent-Type: message/rfc822\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(raw);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/related; boundary={boundary}"), body)
}

/// The first of a row of names that no line of the message begins with.
fn boundary(raw: &[u8]) -> String {
    let mut number = 0_u32;
    loop {
        let name = format!("postrider-part-{number}");
        let line = format!("\n--{name}");
        if !raw.windows(line.len()).any(|window| window == line.as_bytes()) {
            return name;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::related;

    #[test]
    fn a_message_that_holds_the_boundary_gets_another_one() {
        let raw = b"a\r\n--postrider-part-0\r\nb";
        let (content_type, body) = related(&json!({}), raw);
        assert_eq!(content_type, "multipart/related; boundary=postrider-part-1");
        let text = String::from_utf8(body).unwrap();
        assert!(text.contains("\r\n\r\na\r\n--postrider-part-0\r\nb\r\n--postrider-part-1--\r\n"), "{text}");
    }
}
