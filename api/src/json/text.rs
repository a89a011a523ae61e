//! What is refused before a parser recurses: depth, and the character no database of ours can hold.

use crate::problem::{Answer, Problem, ProblemType};

/// Deepest nesting of arrays and objects the API reads; far above any schema of ours, far below a stack's end.
pub const MAX_DEPTH: usize = 64;

/// One pass without recursion or allocation. Malformed text passes: the parser names its place better.
pub fn check(bytes: &[u8]) -> Answer<()> {
    let mut depth = 0_usize;
    let mut rest = bytes.iter().enumerate();
    let mut in_text = false;
    while let Some((at, byte)) = rest.next() {
        match (in_text, byte) {
            (true, b'\\') => match rest.next() {
                Some((_, b'u')) if bytes[at..].starts_with(b"\\u0000") => {
                    let detail = "Texts must not contain the character U+0000.";
                    return Err(placed(Problem::new(ProblemType::InvalidBody, detail), bytes, at));
                }
                _ => {}
            },
            (_, b'"') => in_text = !in_text,
            (false, b'[' | b'{') => {
                depth += 1;
                if depth > MAX_DEPTH {
                    let detail = format!("Arrays and objects may nest {MAX_DEPTH} levels deep.");
                    return Err(placed(Problem::new(ProblemType::TooDeep, detail), bytes, at));
                }
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

fn placed(problem: Problem, bytes: &[u8], at: usize) -> Problem {
    let before = &bytes[..at];
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    #[expect(clippy::naive_bytecount, reason = "runs once, on a refused body of bounded size")]
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    problem.at(line, at - line_start + 1)
}

#[cfg(test)]
mod tests {
    use super::{MAX_DEPTH, check};
    use crate::problem::{Position, ProblemType};

    #[test]
    fn depth_is_counted_outside_of_texts_only() {
        check(&b"[".repeat(MAX_DEPTH)).unwrap();
        check(format!("\"{}\"", "[".repeat(1000)).as_bytes()).unwrap();
        check(format!("\"\\\"{}\"", "[".repeat(1000)).as_bytes()).unwrap();
        let problem = check(&b"[".repeat(MAX_DEPTH + 1)).unwrap_err();
        assert_eq!(problem.kind(), ProblemType::TooDeep);
        assert_eq!(problem.document().position, Some(Position { line: 1, column: MAX_DEPTH + 1 }));
    }

    #[test]
    fn the_null_character_is_refused_and_its_look_alikes_are_not() {
        assert_eq!(check(br#"{"a": "x\u0000"}"#).unwrap_err().kind(), ProblemType::InvalidBody);
        check(br#"{"a": "x\\u0000", "b": "\u0001"}"#).unwrap();
    }
}
