//go:build race

package records

const many = 30 // a derivation takes ten times as long under the race detector
