//! Jobs for smoke tests and drills, on every installation.

mod crash;
mod echo;
mod fail;
mod sleep;
