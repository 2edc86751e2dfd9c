//! Words that two people compare, to be sure that nobody sits between them.
//!
//! They come from the fingerprints of both ends' certificates, and so are the same at both ends exactly
//! when each end talks to the other. `protocol/safety-words.txt` is the normative text.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::config::Fingerprint;

/// How many words there are: 64 bits.
pub const COUNT: usize = 8;

/// How often the hash is hashed again. Somebody in between would have to do this for each of the
/// certificates among which he looks for one that gives the same words.
const ROUNDS: u32 = 16_384;

/// Tells these hashes from all others.
const PURPOSE: &[u8] = b"aldis safety words 1";

/// The words for one pair of certificates. Displays as the words with spaces between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SafetyWords([&'static str; COUNT]);

impl SafetyWords {
    /// The words for two ends, whichever is named first. Takes a few milliseconds.
    pub fn of(one: Fingerprint, other: Fingerprint) -> Self {
        let (first, second) = (one.0.min(other.0), one.0.max(other.0));
        let mut hash = Sha256::new()
            .chain_update(PURPOSE)
            .chain_update(first)
            .chain_update(second)
            .finalize();
        for _ in 0..ROUNDS {
            hash = Sha256::digest(hash);
        }
        let mut words = [""; COUNT];
        for (word, byte) in words.iter_mut().zip(hash) {
            *word = WORDS[usize::from(byte)];
        }
        Self(words)
    }
}

impl fmt::Display for SafetyWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// Short words that nobody mistakes for one another.
#[rustfmt::skip]
const WORDS: [&str; 256] = [
    "acorn", "album", "alpine", "amber", "anchor", "anvil", "apple", "apron",
    "arcade", "arrow", "atlas", "autumn", "badge", "bagel", "bamboo", "banjo",
    "barrel", "basket", "beacon", "beetle", "bishop", "bison", "blanket", "bonfire",
    "bottle", "breeze", "bridge", "bronze", "bucket", "butter", "button", "cabin",
    "cactus", "camel", "candle", "canyon", "carbon", "carpet", "castle", "cedar",
    "cello", "cherry", "chimney", "cinema", "circus", "cobalt", "coffee", "comet",
    "copper", "coral", "cotton", "cricket", "crystal", "curtain", "cymbal", "daisy",
    "dancer", "desert", "diesel", "dinner", "dollar", "dolphin", "donkey", "dragon",
    "drummer", "eagle", "easel", "echo", "eclipse", "elbow", "eleven", "ember",
    "engine", "exit", "fabric", "falcon", "feather", "fender", "fiddle", "finger",
    "flamingo", "flute", "forest", "fossil", "fountain", "galaxy", "garden", "garlic",
    "gecko", "geyser", "ginger", "glacier", "goblet", "golden", "gravel", "guitar",
    "hammer", "harbor", "hazel", "helmet", "heron", "hockey", "honey", "hotel",
    "humble", "icicle", "igloo", "indigo", "insect", "island", "ivory", "jacket",
    "jaguar", "jasmine", "jersey", "jigsaw", "jungle", "juniper", "kayak", "kernel",
    "kettle", "kitten", "koala", "ladder", "lagoon", "lantern", "laptop", "laurel",
    "lemon", "leopard", "library", "lizard", "lobster", "lunar", "magnet", "mango",
    "maple", "marble", "meadow", "melon", "mirror", "mitten", "monsoon", "mosaic",
    "mountain", "muffin", "museum", "nectar", "needle", "nickel", "ninety", "noodle",
    "nutmeg", "oasis", "ocean", "octave", "olive", "onion", "opera", "orbit",
    "orchid", "otter", "oxygen", "oyster", "paddle", "palace", "panda", "paper",
    "parrot", "pebble", "pelican", "pencil", "pepper", "piano", "pigeon", "pilot",
    "pirate", "planet", "plaza", "pocket", "popcorn", "potato", "puzzle", "quartz",
    "queen", "rabbit", "radar", "raisin", "rapid", "raven", "ribbon", "river",
    "robot", "rocket", "rooster", "ruby", "saddle", "salmon", "sandal", "scarf",
    "school", "scooter", "seven", "shadow", "sheriff", "signal", "silver", "siren",
    "spider", "spiral", "stable", "stereo", "summer", "sunset", "tablet", "tango",
    "teapot", "temple", "thimble", "thunder", "ticket", "tiger", "tomato", "topaz",
    "tornado", "trumpet", "tulip", "tundra", "tunnel", "turtle", "umbrella", "uncle",
    "unicorn", "urban", "valley", "vanilla", "velvet", "vessel", "violin", "volcano",
    "voyage", "waffle", "wagon", "walnut", "walrus", "whistle", "willow", "window",
    "winter", "wizard", "yacht", "yellow", "yogurt", "zebra", "zenith", "zigzag",
];

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("../../protocol/safety-words.txt");

    fn lines(kind: &str) -> impl Iterator<Item = Vec<&'static str>> {
        TEXT.lines()
            .map(|line| line.split('\t').collect::<Vec<_>>())
            .filter(move |parts| parts[0] == kind)
    }

    #[test]
    fn the_list_is_the_agreed_one() {
        let agreed: Vec<_> = lines("words")
            .flat_map(|parts| parts[1].split(' '))
            .collect();
        assert_eq!(agreed, WORDS);
    }

    #[test]
    fn the_words_are_the_agreed_ones() {
        let mut read = 0;
        for parts in lines("vector") {
            let [one, other] =
                [parts[1], parts[2]].map(|text| text.parse().expect("a fingerprint"));
            assert_eq!(SafetyWords::of(one, other).to_string(), parts[3]);
            assert_eq!(SafetyWords::of(other, one).to_string(), parts[3]);
            read += 1;
        }
        assert!(read > 4, "only {read} vectors");
    }
}
