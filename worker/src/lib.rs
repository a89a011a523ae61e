//! postrider-worker
