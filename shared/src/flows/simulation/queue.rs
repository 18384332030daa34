//! SQS: at least once, in any order, hidden for a while, dead after too many tries.

use super::plan::Millis;
use super::rng::Rng;

/// As in the template.
const MOST_RECEIVES: u32 = 5;

#[derive(Debug, Clone)]
struct Entry<T> {
    number: u64,
    item: T,
    visible_at: Millis,
    receives: u32,
}

/// One queue with its dead letters.
#[derive(Debug)]
pub(super) struct Queue<T> {
    entries: Vec<Entry<T>>,
    dead: Vec<T>,
    numbers: u64,
}

/// The right to delete what was received.
#[derive(Debug, Clone, Copy)]
pub(super) struct Receipt {
    number: u64,
    receives: u32,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), dead: Vec::new(), numbers: 0 }
    }
}

impl<T: Clone> Queue<T> {
    pub(super) fn send(&mut self, item: T, visible_at: Millis) {
        self.numbers += 1;
        self.entries.push(Entry { number: self.numbers, item, visible_at, receives: 0 });
    }

    /// When something can be received.
    pub(super) fn next_at(&self) -> Option<Millis> {
        self.entries.iter().map(|entry| entry.visible_at).min()
    }

    /// Up to so many visible messages, in no order; hidden until `visibility` has passed.
    pub(super) fn receive(
        &mut self,
        now: Millis,
        most: usize,
        visibility: Millis,
        twice: u64,
        rng: &mut Rng,
    ) -> Vec<(Receipt, T)> {
        let mut received = Vec::new();
        while received.len() < most {
            let visible: Vec<usize> =
                (0..self.entries.len()).filter(|index| self.entries[*index].visible_at <= now).collect();
            if visible.is_empty() {
                break;
            }
            let index = rng.pick(&visible);
            let entry = &mut self.entries[index];
            if entry.receives == MOST_RECEIVES {
                let entry = self.entries.swap_remove(index);
                self.dead.push(entry.item);
                continue;
            }
            entry.receives += 1;
            let again = rng.percent(twice);
            entry.visible_at = now + if again { rng.between(1, 800) } else { visibility };
            received.push((Receipt { number: entry.number, receives: entry.receives }, entry.item.clone()));
        }
        received
    }

    /// Deletes what was received. The receipt of an earlier delivery may not count any more.
    pub(super) fn delete(&mut self, receipt: Receipt, rng: &mut Rng) {
        let counts = rng.percent(50);
        self.entries.retain(|entry| {
            entry.number != receipt.number || (entry.receives != receipt.receives && !counts)
        });
    }

    /// Puts dead letters back.
    pub(super) fn redrive(&mut self, now: Millis) {
        for item in std::mem::take(&mut self.dead) {
            self.send(item, now);
        }
    }

    /// From now on everything has all its tries.
    pub(super) fn forgive(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.receives = 0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Dead letters.
    pub(super) fn dead(&self) -> usize {
        self.dead.len()
    }
}
