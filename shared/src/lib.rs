//! postrider-shared
