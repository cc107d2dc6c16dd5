package node

import "context"

// Rehearsals is what Serve runs beside the ledger.
func (n *Node) Rehearsals(ctx context.Context) { n.rehearsals(ctx) }

// Rehearsed is how the last one went.
func (n *Node) Rehearsed() Rehearsed { return n.collector.Rehearsed() }
