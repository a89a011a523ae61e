//! postrider-queue
