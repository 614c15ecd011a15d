package control

import (
	"github.com/seqera-tools/crypto-rotation/module/internal/fixture"
)

const (
	oldKey = fixture.OldKey
	newKey = fixture.NewKey
	prefix = fixture.Custody
	config = fixture.Config
	name   = fixture.Omnibus
)

type args = fixture.Args

func document() string        { return fixture.Document() }
func prepare(more args) args  { return fixture.Prepare(more) }
func finalize(more args) args { return fixture.Finalize(more) }
