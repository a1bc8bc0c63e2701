//! Who leads and who is a member is changed by hand now and then.

use std::sync::Arc;

use cronapi::consensus::Handle;
use tokio::time::sleep;

use crate::chance::Chance;
use crate::seat::{Phase, Seat};

/// An administrator at a node.
pub struct Members {
    seat: Arc<Seat>,
    consensus: Handle,
    chance: Chance,
}

impl Members {
    /// One that has not begun.
    pub fn new(seat: Arc<Seat>, consensus: Handle, chance: Chance) -> Self {
        Self { seat, consensus, chance }
    }

    /// Works until the world becomes calm.
    pub async fn run(mut self) {
        loop {
            sleep(self.chance.millis(3_000, 25_000)).await;
            if self.seat.orders.borrow().phase > Phase::Faulty {
                return;
            }
            let members = self.consensus.members_told();
            if members.is_empty() {
                continue;
            }
            let node = self.chance.pick(&members).node;
            if self.chance.once_in(3) {
                // Its node starts again and asks to be let in anew.
                self.seat.trace(&format!("removes {node}"));
                let done = self.consensus.remove_node(node, None).await;
                self.seat.trace(&format!("removed {node}: {done:?}"));
            } else {
                self.seat.trace(&format!("hands leadership to {node}"));
                let done = self.consensus.transfer(Some(node)).await;
                self.seat.trace(&format!("handed over: {done:?}"));
            }
        }
    }
}
