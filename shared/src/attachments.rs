//! Files that came with a mail: what each of them is, where it is kept, and what was read in it.

mod row;
mod store;

pub use row::Model as Attachment;
pub use store::Attachments;

use crate::words::words;

words! {
    /// What became of an attachment.
    "attachment state"
    enum AttachmentState {
        /// Its text is known.
        Read = "read",
        /// A picture: kept, and shown to a model that sees.
        Picture = "picture",
        /// Kept, and not read for the reason given.
        Unread = "unread",
        /// Neither kept nor read: the malware scanner objects.
        Refused = "refused",
    }
}
