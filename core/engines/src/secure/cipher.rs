//! AES-256-XTS (IEEE 1619) over whole blocks, many at a time: a phone that recovers its store after a kill decrypts all of
//! it once, and block by block the processor's AES unit stands idle most of that time. Refuses ciphertext stealing, which
//! whole blocks never need. Tested against the standard's vector and the `xts-mode` crate.

use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit, consts::U16};
use aes::{Aes256Dec, Aes256Enc};

type Block = Array<u8, U16>;

/// The two keys of XTS, expanded.
pub(super) struct Cipher {
    encrypt: Aes256Enc,
    decrypt: Aes256Dec,
    tweak: Aes256Enc,
}

impl Cipher {
    pub(super) fn new(data: &[u8; 32], tweak: &[u8; 32]) -> Self {
        let data = Array::from(*data);
        Self {
            encrypt: Aes256Enc::new(&data),
            decrypt: Aes256Dec::new(&data),
            tweak: Aes256Enc::new(&Array::from(*tweak)),
        }
    }

    /// Encrypts the beginning of a sector, or all of it.
    pub(super) fn encrypt(&self, sector: u64, bytes: &mut [u8]) {
        self.each(sector, bytes, |blocks| self.encrypt.encrypt_blocks(blocks));
    }

    /// Decrypts the beginning of a sector, or all of it.
    pub(super) fn decrypt(&self, sector: u64, bytes: &mut [u8]) {
        self.each(sector, bytes, |blocks| self.decrypt.decrypt_blocks(blocks));
    }

    fn each(&self, sector: u64, bytes: &mut [u8], cipher: impl Fn(&mut [Block])) {
        let mut tweak = Array::from(u128::from(sector).to_le_bytes());
        self.tweak.encrypt_block(&mut tweak);
        let mut tweak = u128::from_le_bytes(tweak.into());
        let (blocks, rest) = Block::slice_as_chunks_mut(bytes);
        debug_assert!(rest.is_empty(), "whole blocks");
        let mut tweaks = [0; LOT];
        for lot in blocks.chunks_mut(LOT) {
            for (block, slot) in lot.iter_mut().zip(&mut tweaks) {
                *slot = tweak;
                mix(block, tweak);
                tweak = doubled(tweak);
            }
            cipher(lot);
            lot.iter_mut().zip(tweaks).for_each(|(block, tweak)| mix(block, tweak));
        }
    }
}

fn mix(block: &mut Block, tweak: u128) {
    *block = Array::from((u128::from_le_bytes((*block).into()) ^ tweak).to_le_bytes());
}

/// Multiplication by the generator of the field of 2^128 elements.
fn doubled(tweak: u128) -> u128 {
    (tweak << 1) ^ ((tweak >> 127) * 0x87)
}

/// Blocks that go through the cipher in one call: what the processor keeps in flight, and some.
const LOT: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Dice;

    #[test]
    fn it_is_the_standards_cipher() {
        // IEEE 1619, XTS-AES-256, vector 10.
        let key = |hex: &str| -> [u8; 32] { bytes(hex).try_into().unwrap() };
        let cipher = Cipher::new(
            &key("2718281828459045235360287471352662497757247093699959574966967627"),
            &key("3141592653589793238462643383279502884197169399375105820974944592"),
        );
        let plain: Vec<u8> = (0..512).map(|i| i as u8).collect();
        let mut sector = plain.clone();
        cipher.encrypt(0xff, &mut sector);
        assert_eq!(sector[..32], bytes("1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b"));
        cipher.decrypt(0xff, &mut sector);
        assert_eq!(sector, plain);
    }

    #[test]
    fn it_agrees_with_another_implementation() {
        let mut dice = Dice::new(1);
        for _ in 0..50 {
            let keys = [(); 2].map(|()| -> [u8; 32] { dice.bytes(32).try_into().unwrap() });
            let other = xts_mode::Xts128::new(
                aes::Aes256::new(&Array::from(keys[0])),
                aes::Aes256::new(&Array::from(keys[1])),
            );
            let sector = dice.roll();
            let len = 16 * (1 + dice.below(256) as usize);
            let plain = dice.bytes(len);
            let (mut ours, mut theirs) = (plain.clone(), plain.clone());
            let cipher = Cipher::new(&keys[0], &keys[1]);
            cipher.encrypt(sector, &mut ours);
            other.encrypt_sector(&mut theirs, xts_mode::get_tweak_default(sector.into()));
            assert_eq!(ours, theirs);
            cipher.decrypt(sector, &mut ours);
            assert_eq!(ours, plain);
        }
    }

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }
}
