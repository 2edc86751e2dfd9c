//! Calls as conversations: what happens on the left, what the session does about it on the right.

mod calls;
mod survival;
mod talk;
