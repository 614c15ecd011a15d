package main

import (
	"go/ast"    //nolint:depguard // the test reads the source
	"go/parser" //nolint:depguard // the test reads the source
	"go/token"  //nolint:depguard // the test reads the source
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A secret can be printed only after Reveal. So no call that prints, logs or makes an error may contain a call of Reveal in its arguments,
// at any depth.
func TestNothingThatPrintsTakesARevealedSecret(t *testing.T) {
	var seen int
	for path, file := range sources(t) {
		seen += len(revealed(file))
		assert.Empty(t, printed(file), "%s prints a secret", path)
	}
	assert.Greater(t, seen, 20, "this test looks at what it should")

	text := "package p\nfunc f() { _ = fmt.Errorf(\"%s\", strings.ToUpper(key.Reveal())); slog.Info(\"x\", \"k\", key.Reveal()); panic(key.Reveal()) }"
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", text, 0)
	require.NoError(t, err)
	assert.Len(t, printed(file), 3, "it finds one where there is one")
}

// sources gives the product's files.
func sources(t *testing.T) map[string]*ast.File {
	t.Helper()
	found := map[string]*ast.File{}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "internal/") {
			return err
		}
		found[path], err = parser.ParseFile(token.NewFileSet(), path, nil, 0)
		return err
	})
	require.NoError(t, err)
	return found
}

func revealed(node ast.Node) []ast.Node {
	var found []ast.Node
	ast.Inspect(node, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok && selector.Sel.Name == "Reveal" {
			found = append(found, n)
		}
		return true
	})
	return found
}

// printed gives the calls that print and reveal.
func printed(file *ast.File) []string {
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		name := ""
		switch f := call.Fun.(type) {
		case *ast.Ident:
			name = f.Name
		case *ast.SelectorExpr:
			if from, ok := f.X.(*ast.Ident); ok {
				name = from.Name
			}
		}
		if !slices.Contains([]string{"fmt", "slog", "log", "errors", "panic", "print", "println"}, name) {
			return true
		}
		for _, argument := range call.Args {
			if len(revealed(argument)) > 0 {
				found = append(found, name)
			}
		}
		return true
	})
	return found
}
