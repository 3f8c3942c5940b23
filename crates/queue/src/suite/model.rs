//! Random moves of a queue beside a naive model of it: after each of them both say the same.
//!
//! Moves are data, four bytes each, so that a game that fails can be made shorter until every move
//! in it matters, and so that a fuzzer can play.

mod compare;
mod game;
mod moves;
mod naive;

use self::game::Game;
use self::moves::Move;
use super::Store;

/// So many moves are made with one queue.
const GAME: usize = 1_000;
/// A game that fails is played again, with moves left out, for no longer than so many moves.
const SHORTENING: usize = 200_000;

/// Makes so many random moves, which the seed chooses.
///
/// # Panics
/// Queue and model differ. The message tells the difference and the shortest row of moves that was
/// found to lead there, as [`replay`] takes them.
pub fn run<S: Store>(store: &S, seed: u64, moves: usize) {
    let mut random = seed;
    let mut left = moves;
    while left > 0 {
        let game: Vec<Move> = (0..left.min(GAME)).map(|_| Move((next(&mut random) as u32).to_be_bytes())).collect();
        left -= game.len();
        must_hold(store, game);
    }
}

/// Makes these moves, four bytes each; what is left over is not looked at.
///
/// # Panics
/// As [`run`].
pub fn replay<S: Store>(store: &S, moves: &[u8]) {
    let moves = moves.chunks_exact(4).map(|bytes| Move([bytes[0], bytes[1], bytes[2], bytes[3]]));
    must_hold(store, moves.take(GAME).collect());
}

fn must_hold<S: Store>(store: &S, moves: Vec<Move>) {
    if let Err(difference) = Game::play(store, &moves) {
        let (moves, difference) = shortened(store, moves, difference);
        let told: Vec<_> = moves.iter().map(|made| format!("{:?} {}", made.0, made.told())).collect();
        panic!("the queue differs from its model: {difference}\nafter these moves:\n{}", told.join("\n"));
    }
}

/// Leaves out moves, many at a time and then few, as long as there is a difference in the end.
fn shortened<S: Store>(store: &S, mut moves: Vec<Move>, mut difference: String) -> (Vec<Move>, String) {
    let mut played = 0;
    let mut part = moves.len().div_ceil(2);
    while part > 0 && played < SHORTENING {
        let mut from = 0;
        while from < moves.len() && played < SHORTENING {
            let mut fewer = moves.clone();
            fewer.drain(from..moves.len().min(from + part));
            played += fewer.len();
            match Game::play(store, &fewer) {
                Err(found) => (moves, difference) = (fewer, found),
                Ok(()) => from += part,
            }
        }
        part /= 2;
    }
    (moves, difference)
}

/// The next number of a row that looks random: a counter, well mixed.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
