//! The state machine of jobs and leases, explored exhaustively for small sizes.
//!
//! [`machine`] is what the scripts promise, without bytes; [`compared`] holds them to it. [`world`] takes one lane and one scope and
//! puts worker processes around it, and a network that loses answers and delivers requests late; processes crash, freeze and
//! stop, Redis goes away. [`properties`] says what must be true in every state that can be reached. Each property has a
//! *twin*: the same world with one rule broken, in which the checker must find a counter-example, so that no property holds
//! merely because nothing tests it.

mod compared;
mod explored;
mod machine;
mod properties;
mod world;
