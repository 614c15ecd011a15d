package main

import "bytes"

// damage spoils a record in one of four ways that a scan must not take for sound: cut off inside a block, cut down to its IV,
// a middle that no longer matches, every byte turned over.
func damage(secure []byte, kind int) []byte {
	spoiled := bytes.Clone(secure)
	switch kind % 4 {
	case 0:
		return spoiled[:len(spoiled)-5]
	case 1:
		return spoiled[:saltBytes]
	case 2:
		// Flipping a byte of the IV changes the same byte of the first plaintext block, so the padding stays right: '{' becomes 'z'.
		spoiled[0] ^= '{' ^ 'z'
		return spoiled
	default:
		for i := range spoiled {
			spoiled[i] = ^spoiled[i]
		}
		return spoiled
	}
}
