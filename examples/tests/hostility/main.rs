//! Clients that mean harm, against the relay program: what it holds in memory, what it answers,
//! and whether others are served meanwhile.

#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

mod asleep;
mod bystander;
mod descriptors;
mod floods;
mod limits;
mod lines;
mod slow;
