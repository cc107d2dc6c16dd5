package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// errInterrupted is the answer of whoever interrupts a prompt, or what came before it.
var errInterrupted error = refusal("interrupted at a prompt: not signed; nothing was written")

// confirm asks a yes-or-no question. Without a terminal, or at the end of the
// input, the answer is no: nothing is signed by accident.
func (a *app) confirm(ctx context.Context, question string) (bool, error) {
	if !a.tty {
		return false, usageError("%s needs an answer, and there is no terminal to ask on", question).hint("pass --yes after reading what it shows")
	}
	question += " [y/N] "
	var line string
	var err error
	if keys := a.terminalPrompt(); keys != nil {
		line, err = keys.read(ctx, func(t *term.Terminal) (string, error) {
			t.SetPrompt(question)
			return t.ReadLine()
		})
	} else {
		fmt.Fprint(a.err, question)
		line, err = bufio.NewReader(a.in).ReadString('\n')
	}
	if err != nil && err != io.EOF {
		return false, err
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}

// askPassword reads one line without echo; nil where there is no terminal.
func (a *app) askPassword(ctx context.Context, question string) ([]byte, error) {
	keys := a.terminalPrompt()
	if keys == nil {
		return nil, nil
	}
	p, err := keys.read(ctx, func(t *term.Terminal) (string, error) { return t.ReadPassword(question) })
	if err != nil {
		return nil, err
	}
	return []byte(p), nil
}

// terminalPrompt is the terminal that people type on; nil where there is none.
func (a *app) terminalPrompt() *terminalPrompt {
	in, ok := a.in.(*os.File)
	if !ok || !a.tty || !term.IsTerminal(int(in.Fd())) {
		return nil
	}
	if a.prompt == nil {
		a.prompt = &terminalPrompt{in: in}
		a.prompt.terminal = term.NewTerminal(struct {
			io.Reader
			io.Writer
		}{in, a.err}, "")
	}
	return a.prompt
}

// terminalPrompt reads answers key by key, so that an interrupt counts before whatever is typed
// after it: as a signal it may arrive later than the next line.
type terminalPrompt struct {
	in       *os.File
	terminal *term.Terminal // keeps what was typed ahead, for the next question
}

// read asks one question. Ctrl-C, Ctrl-D on an empty line and a signal that ends ctx are
// errInterrupted, at once.
func (k *terminalPrompt) read(ctx context.Context, question func(*term.Terminal) (string, error)) (string, error) {
	if ctx.Err() != nil {
		return "", errInterrupted
	}
	before, err := term.MakeRaw(int(k.in.Fd()))
	if err != nil {
		return "", fmt.Errorf("asking on the terminal: %w", err)
	}
	defer term.Restore(int(k.in.Fd()), before)
	if width, height, err := term.GetSize(int(k.in.Fd())); err == nil && width > 0 {
		k.terminal.SetSize(width, height)
	}
	type answer struct {
		line string
		err  error
	}
	// A read of a terminal cannot be called off: after a signal it ends with the process.
	answers := make(chan answer, 1)
	go func() {
		line, err := question(k.terminal)
		answers <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprint(k.terminal, "\n")
		return "", errInterrupted
	case a := <-answers:
		switch {
		case errors.Is(a.err, io.EOF), a.err == nil && ctx.Err() != nil:
			fmt.Fprint(k.terminal, "\n")
			return "", errInterrupted
		case a.err != nil:
			return "", fmt.Errorf("reading the answer: %w", a.err)
		}
		return a.line, nil
	}
}
