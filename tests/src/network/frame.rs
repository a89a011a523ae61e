//! Where a value of Redis's protocol ends, in both versions of it.

/// Length of the first whole value at the start of `bytes`; none if it is not whole yet.
pub fn whole(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut left) = (0_usize, 1_usize);
    while left > 0 {
        left -= 1;
        let (head, next) = line(bytes, at)?;
        at = next;
        let (sort, rest) = head.split_first()?;
        let count = || std::str::from_utf8(rest).ok().and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
        match sort {
            b'$' | b'=' | b'!' => {
                if let Ok(length) = usize::try_from(count()) {
                    at += length + 2;
                }
            }
            b'*' | b'~' | b'>' => left += usize::try_from(count()).unwrap_or(0),
            b'%' => left += 2 * usize::try_from(count()).unwrap_or(0),
            _ => {}
        }
    }
    (at <= bytes.len()).then_some(at)
}

/// The first `most` arguments of a whole command.
pub fn arguments(command: &[u8], most: usize) -> Vec<&[u8]> {
    let mut arguments = Vec::new();
    let Some((_, mut at)) = line(command, 0) else { return arguments };
    while arguments.len() < most {
        let Some((head, next)) = line(command, at) else { break };
        let length = std::str::from_utf8(&head[1..]).ok().and_then(|text| text.parse::<usize>().ok());
        let Some(argument) = length.and_then(|length| command.get(next..next + length)) else { break };
        arguments.push(argument);
        at = next + argument.len() + 2;
    }
    arguments
}

/// The line from `at` on without its end, and where the next begins.
fn line(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = bytes.get(at..)?;
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    Some((&rest[..end], at + end + 2))
}

#[cfg(test)]
mod tests {
    use super::{arguments, whole};

    #[test]
    fn a_value_ends_where_its_parts_do() {
        let values: [&[u8]; 6] = [
            b"+OK\r\n",
            b"$-1\r\n",
            b"$2\r\n\r\n\r\n",
            b"*2\r\n*1\r\n:1\r\n$1\r\na\r\n",
            b"%1\r\n+a\r\n*-1\r\n",
            b"*0\r\n",
        ];
        for value in values {
            let more = [value, b"+more\r\n"].concat();
            assert_eq!(whole(&more), Some(value.len()));
            for part in 0..value.len() {
                assert_eq!(whole(&value[..part]), None);
            }
        }
        assert_eq!(arguments(b"*3\r\n$3\r\nGET\r\n$1\r\na\r\n$1\r\nb\r\n", 2), [b"GET".as_slice(), b"a"]);
    }
}
