// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// mutant is a program that differs from ours in one place of one file.
type mutant struct {
	file     string // from the root of the module
	line     int
	from, to int    // the bytes that are replaced
	by       string // what they become
	rule     string
	was, is  string // the line before and after, for the list
	place    place  // what is written as a switch, see switch.go
}

// key names a mutant in known.txt: lines move, their texts stay.
func (m mutant) key() string { return m.file + " | " + m.was + " | " + m.is }

// mutants returns every mutant of a file. Its rules are the mistakes that a check
// can have: it is not there, its boundary is off by one, one of its halves is
// missing, its error is lost, a call or a field is forgotten.
func mutants(file string, source []byte) ([]mutant, error) {
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, file, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	p := &finder{file: file, source: source, files: files}
	var path []ast.Node // from the file to the node
	ast.Inspect(tree, func(n ast.Node) bool {
		if n == nil {
			path = path[:len(path)-1]
			return true
		}
		path = append(path, n)
		switch n := n.(type) {
		case *ast.IfStmt:
			p.in(n.Cond, condition)
			p.replace("condition that never holds", n.Cond, "false && ("+p.text(n.Cond)+")")
			p.replace("condition that always holds", n.Cond, "true || ("+p.text(n.Cond)+")")
		case *ast.SwitchStmt:
			p.cases(n)
		case *ast.BinaryExpr:
			p.binary(n)
		case *ast.ExprStmt:
			if _, ok := n.X.(*ast.CallExpr); ok {
				p.in(n, call)
				p.replace("dropped call", n, "{}")
			}
		case *ast.FuncDecl:
			p.returns(n.Type, n.Body)
		case *ast.FuncLit:
			p.returns(n.Type, n.Body)
		case *ast.CallExpr:
			p.arguments(n)
		case *ast.CompositeLit:
			p.inLiteral(path)
			p.fields(n)
		}
		return true
	})
	slices.SortFunc(p.all, func(a, b mutant) int { return a.from - b.from })
	return p.all, nil
}

// finder collects the mutants of one file.
type finder struct {
	file   string
	source []byte
	files  *token.FileSet
	place  place // of the mutants that follow
	all    []mutant
}

func (p *finder) offset(at token.Pos) int { return p.files.Position(at).Offset }

func (p *finder) text(n ast.Node) string {
	return string(p.source[p.offset(n.Pos()):p.offset(n.End())])
}

// replace adds the mutant that has other text instead of a node.
func (p *finder) replace(rule string, n ast.Node, by string) {
	p.cut(rule, p.offset(n.Pos()), p.offset(n.End()), by)
}

func (p *finder) cut(rule string, from, to int, by string) {
	start := strings.LastIndexByte(string(p.source[:from]), '\n') + 1
	end := len(p.source)
	if n := strings.IndexByte(string(p.source[to:]), '\n'); n >= 0 {
		end = to + n
	}
	oneLine := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	p.all = append(p.all, mutant{
		file: p.file,
		line: 1 + strings.Count(string(p.source[:from]), "\n"),
		from: from,
		to:   to,
		by:   by,
		rule: rule,
		was:  oneLine(string(p.source[start:end])),
		is:   oneLine(string(p.source[start:from]) + by + string(p.source[to:end])),

		place: p.place,
	})
}

// cases makes each case of a switch over conditions never hold.
func (p *finder) cases(n *ast.SwitchStmt) {
	if n.Tag != nil {
		return
	}
	for _, clause := range n.Body.List {
		for _, cond := range clause.(*ast.CaseClause).List {
			p.in(cond, condition)
			p.replace("case that never holds", cond, "false && ("+p.text(cond)+")")
		}
	}
}

// boundaries are the comparisons that are off by one, or the other way round.
var boundaries = map[token.Token]string{
	token.LSS: "<=",
	token.LEQ: "<",
	token.GTR: ">=",
	token.GEQ: ">",
	token.EQL: "!=",
	token.NEQ: "==",
}

func (p *finder) binary(n *ast.BinaryExpr) {
	p.in(n, condition)
	op := p.offset(n.OpPos)
	if other, ok := boundaries[n.Op]; ok {
		p.cut("comparison", op, op+len(n.Op.String()), other)
	}
	if n.Op == token.LAND || n.Op == token.LOR {
		p.replace("left half alone", n, p.text(n.X))
		p.replace("right half alone", n, p.text(n.Y))
	}
}

// returns loses the errors of a function: a returned error becomes nil.
func (p *finder) returns(t *ast.FuncType, body *ast.BlockStmt) {
	if t.Results == nil || body == nil {
		return
	}
	last, ok := t.Results.List[len(t.Results.List)-1].Type.(*ast.Ident)
	if !ok || last.Name != "error" {
		return
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false // it has returns of its own
		case *ast.ReturnStmt:
			if len(n.Results) != t.Results.NumFields() {
				return true // none, or a call's
			}
			lost := n.Results[len(n.Results)-1]
			if name, ok := lost.(*ast.Ident); !ok || name.Name != "nil" {
				p.in(n, returned)
				p.replace("lost error", lost, "nil")
			}
		}
		return true
	})
}

// arguments empties what a call hashes, authenticates or seals.
func (p *finder) arguments(n *ast.CallExpr) {
	for _, arg := range n.Args {
		call, ok := arg.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 {
			continue
		}
		if array, ok := call.Fun.(*ast.ArrayType); ok && array.Len == nil && p.text(array.Elt) == "byte" {
			p.in(arg, argument)
			p.replace("emptied argument", arg, "[]byte(nil)")
		}
	}
}

// fields forgets each field of a literal.
func (p *finder) fields(n *ast.CompositeLit) {
	for i, elt := range n.Elts {
		pair, ok := elt.(*ast.KeyValueExpr)
		if !ok {
			return
		}
		if name, ok := pair.Key.(*ast.Ident); !ok || !name.IsExported() {
			continue
		}
		to := p.offset(elt.End())
		if i+1 < len(n.Elts) {
			to = p.offset(n.Elts[i+1].Pos())
		} else if to < len(p.source) && p.source[to] == ',' {
			to++
		}
		p.cut("forgotten field", p.offset(elt.Pos()), to, "")
	}
}

// apply returns the source of the mutant's file.
func (m mutant) apply(source []byte) []byte {
	return slices.Concat(source[:m.from], []byte(m.by), source[m.to:])
}

func (m mutant) String() string {
	return fmt.Sprintf("%s:%d: %s\n    was %s\n    is  %s", m.file, m.line, m.rule, m.was, m.is)
}
