use crate::words::words;

words! {
    /// Whether strangers may register a business of their own.
    "registration"
    enum Registration {
        /// Nobody: people are invited.
        Closed = "closed",
        /// Everybody, and an administrator of the platform decides whether the business becomes active.
        Approval = "approval",
        /// Everybody.
        Open = "open",
    }
}
