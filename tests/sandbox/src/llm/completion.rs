//! The envelope of a chat completion.

use serde_json::{Value, json};
use uuid::Uuid;

use super::request::{Answer, Call};
use crate::clock;

pub(super) fn answered(call: &Call, answer: &Answer) -> Value {
    let content = serde_json::to_string(answer).unwrap_or_default();
    completion(call, &json!({"role": "assistant", "content": content, "refusal": null}), "stop")
}

/// A completion with this message and reason to end.
pub(super) fn completion(call: &Call, message: &Value, finish_reason: &str) -> Value {
    // About four characters make a token; nobody is billed for it.
    let prompt = call.characters / 4;
    let answer = message["content"].as_str().map_or(0, str::len) / 4;
    json!({
        "id": format!("chatcmpl-{}", Uuid::new_v4().simple()),
        "object": "chat.completion",
        "created": clock::now().timestamp(),
        "model": call.model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer},
        "system_fingerprint": null,
    })
}
