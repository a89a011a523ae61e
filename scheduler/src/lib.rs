//! postrider-scheduler
