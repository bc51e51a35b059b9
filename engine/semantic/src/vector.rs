//! Vectors of questions, and how much two are alike.
//!
//! In: what an embedding model gives, or a text. Out: a [`Vector`] of bytes, a quarter of what floats would take, and cosines.
//! A cosine of two quantised vectors is within 0.01 of the floats' (a test holds that at 384 numbers); one of a vector
//! with itself is exactly 1. Nothing is remembered.

use crate::text::{Kind, cut};

/// Numbers of a vector; a model that gives more is not used.
pub const DIMENSIONS_MAX: usize = 4_096;

/// Numbers of a vector that is made of a text's letters.
const LEXICAL_DIMENSIONS: usize = 256;

/// A direction, in whole numbers from -127 to 127.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector {
    parts: Box<[i8]>,
    /// One by the length.
    scale: f64,
}

impl Vector {
    /// Takes a model's numbers over; `None` where they have no direction, or are too many.
    #[must_use]
    pub fn of(numbers: &[f32]) -> Option<Self> {
        let largest = numbers.iter().fold(0_f32, |largest, number| largest.max(number.abs()));
        let is_sound = numbers.iter().all(|number| number.is_finite())
            && largest > 0.0
            && numbers.len() <= DIMENSIONS_MAX;
        if !is_sound {
            return None;
        }
        let parts: Box<[i8]> = numbers.iter().map(|number| part(number / largest)).collect();
        let square: i64 = parts.iter().map(|part| i64::from(*part) * i64::from(*part)).sum();
        #[expect(
            clippy::cast_precision_loss,
            reason = "at most 127² · 4,096, which a float has exactly"
        )]
        let scale = 1.0 / (square as f64).sqrt();
        Some(Self { parts, scale })
    }

    /// A vector of a text's words and letters, for where there is no model. It knows spelling and no meaning.
    #[must_use]
    pub fn lexical(text: &str) -> Option<Self> {
        let mut numbers = vec![0_f32; LEXICAL_DIMENSIONS];
        for token in cut(text).into_iter().filter(|token| token.kind != Kind::Mark) {
            let word: Vec<char> = format!("<{}>", token.text.to_lowercase()).chars().collect();
            add(&mut numbers, &word, 1.0);
            for three in word.windows(3) {
                add(&mut numbers, three, 0.5);
            }
        }
        Self::of(&numbers)
    }

    /// The cosine, none below 0; `None` where the two are of different models.
    #[must_use]
    pub fn cosine(&self, other: &Self) -> Option<f64> {
        if self.parts.len() != other.parts.len() {
            return None;
        }
        let products = self.parts.iter().zip(&other.parts);
        let dot: i32 = products.map(|(one, other)| i32::from(*one) * i32::from(*other)).sum();
        Some((f64::from(dot) * self.scale * other.scale).clamp(0.0, 1.0))
    }

    /// Bytes that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.parts.len()
    }
}

// A sum of products fits 32 bits.
const _: () = assert!(127 * 127 * DIMENSIONS_MAX < i32::MAX as usize, "a dot product may overflow");

#[expect(clippy::cast_possible_truncation, reason = "a number from -1 to 1, by 127")]
fn part(number: f32) -> i8 {
    (number * 127.0).round() as i8
}

/// Adds `weight` where `letters` have their place, by FNV-1a.
fn add(numbers: &mut [f32], letters: &[char], weight: f32) {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for letter in letters {
        hash = (hash ^ u64::from(u32::from(*letter))).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 29;
    let place = usize::try_from(hash % LEXICAL_DIMENSIONS as u64).unwrap_or_default();
    numbers[place] += if hash & (1 << 40) == 0 { weight } else { -weight };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers between -1 and 1 from a seed.
    fn random(seed: u64, count: usize) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            f32::from(u16::try_from(state & 0xffff).unwrap()) / 32_768.0 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn a_cosine_is_the_floats_within_a_hundredth() {
        for seed in 0..200 {
            let (one, noise) = (random(seed, 384), random(seed + 1_000, 384));
            let share = f32::from(u8::try_from(seed).unwrap()) / 200.0;
            let other: Vec<f32> =
                one.iter().zip(&noise).map(|(a, b)| a * share + b * (1.0 - share)).collect();
            let dot = |a: &[f32], b: &[f32]| -> f64 {
                a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            let exact = dot(&one, &other) / (dot(&one, &one) * dot(&other, &other)).sqrt();
            let found = Vector::of(&one).unwrap().cosine(&Vector::of(&other).unwrap()).unwrap();
            assert!((found - exact.clamp(0.0, 1.0)).abs() < 0.01, "seed {seed}: {found} {exact}");
        }
    }

    #[test]
    fn what_has_no_direction_is_no_vector() {
        assert_eq!(Vector::of(&[]), None);
        assert_eq!(Vector::of(&[0.0, 0.0]), None);
        assert_eq!(Vector::of(&[1.0, f32::NAN]), None);
        assert_eq!(Vector::of(&[f32::INFINITY]), None);
        assert_eq!(Vector::of(&vec![1.0; DIMENSIONS_MAX + 1]), None);
        assert_eq!(Vector::lexical("?!"), None);
    }

    #[test]
    fn vectors_of_different_models_are_not_alike() {
        let [one, other] = [3, 4].map(|count| Vector::of(&vec![1.0; count]).unwrap());
        assert_eq!(one.cosine(&other), None);
        assert_eq!(one.cosine(&one), Some(1.0));
    }

    #[test]
    fn texts_of_the_same_words_are_alike() {
        let [one, like, other] =
            ["How do I reset my password?", "how can I reset the password", "Who wrote Faust?"]
                .map(|text| Vector::lexical(text).unwrap());
        let (near, far) = (one.cosine(&like).unwrap(), one.cosine(&other).unwrap());
        assert!(near > 0.6 && far < 0.4, "{near} {far}");
    }
}
