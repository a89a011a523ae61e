use postrider_queue::QueueName;

use crate::words::words;

words! {
    /// The queues of the platform. To the engine a queue is only a name; this is the list of those that exist.
    "queue"
    enum Queue {
        /// Reading mailboxes.
        Mail = "mail",
        /// Reading quote requests with a language model.
        Extraction = "extraction",
        /// Pricing and rendering quotes.
        Quotes = "quotes",
        /// Sending e-mail.
        Email = "email",
        /// What operators ask for and takes its time.
        Upkeep = "upkeep",
        /// Smoke tests and drills.
        Diagnostics = "diagnostics",
    }
}

impl Queue {
    /// The name the engine knows it by.
    pub const fn name(self) -> QueueName {
        QueueName::new(self.as_str())
    }
}
