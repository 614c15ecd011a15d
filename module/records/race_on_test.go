//go:build race

package records

const (
	raced = true
	many  = 30 // a derivation takes ten times as long under the race detector
)
