package form

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// ErrEmpty: there is nothing in the file.
var ErrEmpty = errors.New("the file is empty")

// Parse reads one document; JSON that is JSON is not left to YAML, which reads some of it
// otherwise. Errors are [ErrEmpty], or say what is wrong on which line.
func Parse(raw []byte) (*yaml.Node, error) {
	if v, err := schema.ParseJSON(raw); err == nil {
		return yamlNodeOf(v), nil
	}
	dec := yaml.NewDecoder(strings.NewReader(string(raw)))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, ErrEmpty
	case err != nil:
		return nil, errors.New(yamlFault(raw, err))
	}
	if dec.Decode(&more) == nil {
		return nil, fmt.Errorf("line %d: a second document; write one a file", more.Line)
	}
	return doc.Content[0], nil
}

// joinedColon is a line on which no space stands between a name and its value, which YAML reads
// as one word.
var joinedColon = regexp.MustCompile(`^\s*(?:- )?([A-Za-z]+):([^\s/].*)$`)

// yamlFault says on which line YAML cannot be read, and why, as far as the text shows what people
// mistype: a tab that indents, and no space after a colon.
func yamlFault(raw []byte, err error) string {
	n := 0
	for line := range strings.Lines(string(raw)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]; strings.Contains(indent, "\t") && strings.TrimSpace(line) != "" {
			return fmt.Sprintf("line %d: a tab stands at its beginning: YAML is indented by spaces alone", n)
		}
		if m := joinedColon.FindStringSubmatch(line); m != nil {
			return fmt.Sprintf("line %d: write a space after the colon: %s: %s", n, m[1], m[2])
		}
	}
	said := strings.TrimPrefix(err.Error(), "yaml: ")
	if !strings.HasPrefix(said, "line ") {
		said = "line 1: " + said // where its parser counts from 0, and leaves that out
	}
	return said
}

func yamlNodeOf(v any) *yaml.Node {
	switch v := v.(type) {
	case string:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: v}
	case int64:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(v, 10)}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range v {
			n.Content = append(n.Content, yamlNodeOf(item))
		}
		return n
	}
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, m := range v.(schema.Object) {
		n.Content = append(n.Content, yamlNodeOf(m.Name), yamlNodeOf(m.Value))
	}
	return n
}
