//! The message after DATA.

use std::io;

use bytes::{Bytes, BytesMut};

use super::MAX_MESSAGE_BYTES;
use crate::wire::Wire;

/// Reads up to the final dot and takes the dot-stuffing away; `None` if the message is too big (it is read to its end
/// all the same). Only CRLF.CRLF ends it: a bare line feed before or after the dot is text (RFC 5321, SMTP smuggling).
pub(super) async fn read(wire: &mut Wire) -> io::Result<Option<Bytes>> {
    let mut message = BytesMut::new();
    let (mut fresh, mut fits) = (true, true);
    loop {
        let line = wire.line(MAX_MESSAGE_BYTES).await?;
        if fresh && &line[..] == b".\r\n" {
            return Ok(fits.then(|| message.freeze()));
        }
        let text = if fresh && line.starts_with(b".") { &line[1..] } else { &line[..] };
        fresh = line.ends_with(b"\r\n");
        fits = fits && message.len() + text.len() <= MAX_MESSAGE_BYTES;
        if fits {
            message.extend_from_slice(text);
        }
    }
}
