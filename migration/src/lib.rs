//! postrider-migration
