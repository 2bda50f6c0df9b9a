package openflow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"damselfly/flows"
)

// Bundle is a list of changes that take effect together or not at all, in the
// order they were added.
type Bundle struct {
	list []change
}

// change is a FlowMod if its flow is set, else a GroupMod.
type change struct {
	flow  FlowMod
	group GroupMod
}

// Flow adds a change of a flow. The flow must not change before the bundle is
// done.
func (b *Bundle) Flow(m FlowMod) { b.list = append(b.list, change{flow: m}) }

// Group adds a change of a group. The group must not change before the bundle is
// done.
func (b *Bundle) Group(m GroupMod) { b.list = append(b.list, change{group: m}) }

// Len returns the number of changes.
func (b *Bundle) Len() int { return len(b.list) }

func (x *change) append(b []byte, xid uint32) []byte {
	if x.flow.Flow != nil {
		return AppendFlowMod(b, xid, x.flow)
	}
	return AppendGroupMod(b, xid, x.group)
}

func (x *change) String() string {
	verb := map[Command]string{FlowAdd: "add", 1: "modify", FlowModify: "modify", FlowDeleteAll: "delete all of", FlowDelete: "delete"}
	if x.flow.Flow != nil {
		return fmt.Sprintf("to %s flow %v", verb[x.flow.Command], x.flow.Flow)
	}
	verb[GroupDelete], verb[GroupInsert], verb[GroupRemove] = "delete", "insert buckets into", "remove a bucket of"
	return fmt.Sprintf("to %s group %v", verb[x.group.Command], x.group.Group)
}

// Bundle control types and flags (OpenFlow 1.5 section 7.3.11).
const (
	bundleOpen    = 0
	bundleCommit  = 4
	bundleDiscard = 6
	bundleFlags   = 1 | 2 // atomic, ordered
)

func appendBundleControl(b []byte, xid, id uint32, typ uint16) []byte {
	start := len(b)
	b = put32(AppendHeader(b, TypeBundleControl, xid), id)
	return finish(put16(put16(b, typ), bundleFlags), start)
}

// appendBundleAdd appends a change inside its BUNDLE_ADD_MESSAGE, which has the
// same xid (OpenFlow 1.5 section 7.3.11.2).
func appendBundleAdd(b []byte, xid, id uint32, x *change) ([]byte, error) {
	start := len(b)
	b = put32(AppendHeader(b, TypeBundleAdd, xid), id)
	b = put16(put16(b, 0), bundleFlags)
	b = x.append(b, xid)
	if n := len(b) - start; n > maxMessage {
		return nil, fmt.Errorf("openflow: a request %s takes %d octets, a message holds %d: split it up", x, n, maxMessage)
	}
	return finish(b, start), nil
}

// Commit makes all changes of groups and flows together or none: groups first,
// then flows, then the removal of groups, so that a flow can leave a group that
// goes. See Bundle for another order.
func (c *Conn) Commit(ctx context.Context, groups []GroupMod, mods []FlowMod) error {
	return c.Bundle(ctx, func(b *Bundle) {
		b.list = make([]change, 0, len(groups)+len(mods))
		for _, g := range groups {
			if g.Command != GroupDelete {
				b.Group(g)
			}
		}
		for _, f := range mods {
			b.Flow(f)
		}
		for _, g := range groups {
			if g.Command == GroupDelete {
				b.Group(g)
			}
		}
	})
}

// bundlePart is how many octets of a bundle are written at once: Open vSwitch reads
// one part while the next is made, and no buffer has to hold a hundred thousand flows.
const bundlePart = keepWriteBuffer / 4

// Bundle makes the changes that fill adds together or none. The error names
// each change that Open vSwitch refused, as an *Error.
//
// A change that Open vSwitch refuses when it is added does not keep it from
// committing the rest, against the letter of the standard. So nothing is
// committed before a barrier has shown that every change was taken.
func (c *Conn) Bundle(ctx context.Context, fill func(b *Bundle)) error {
	var bundle Bundle
	fill(&bundle)
	n := bundle.Len()
	if n == 0 {
		return nil
	}
	k, err := c.begin(n + 3)
	if err != nil {
		return err
	}
	defer c.end(k)
	id, barrier := c.bundle.Add(1), k.first+uint32(n)+1
	c.rearm(k, barrier)
	for sent, opened := 0, false; sent < n; opened = true {
		err := c.write(ctx, func(b []byte) ([]byte, error) {
			if !opened {
				b = appendBundleControl(b, k.first, id, bundleOpen)
			}
			for ; sent < n && len(b) < bundlePart; sent++ {
				var err error
				if b, err = appendBundleAdd(b, k.first+1+uint32(sent), id, &bundle.list[sent]); err != nil {
					return nil, err
				}
			}
			if sent == n {
				b = AppendHeader(b, TypeBarrier, barrier)
			}
			return b, nil
		})
		if err != nil {
			if opened {
				c.abandon(ctx, k.end, id)
			}
			return err
		}
	}
	if err := c.wait(ctx, k); err != nil {
		c.abandon(ctx, k.end, id)
		return err
	}
	refused := c.failure(k, bundle.name)
	c.rearm(k, k.end)
	if refused != nil {
		return errors.Join(refused, c.control(ctx, k, id, bundleDiscard))
	}
	if err := c.control(ctx, k, id, bundleCommit); err != nil {
		return err
	}
	return c.failure(k, bundle.name)
}

// name says what the i-th xid of a bundle's call was for.
func (b *Bundle) name(i int) string {
	switch {
	case i == 0:
		return "to open a bundle"
	case i <= len(b.list):
		return b.list[i-1].String()
	}
	return "to commit the bundle"
}

// control sends the message that ends a bundle and waits for its answer.
func (c *Conn) control(ctx context.Context, k *call, id uint32, typ uint16) error {
	err := c.write(ctx, func(b []byte) ([]byte, error) { return appendBundleControl(b, k.last, id, typ), nil })
	if err != nil {
		return err
	}
	return c.wait(ctx, k)
}

// abandon discards a bundle that nobody waits for any more.
func (c *Conn) abandon(ctx context.Context, xid, id uint32) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	err := c.write(ctx, func(b []byte) ([]byte, error) { return appendBundleControl(b, xid, id, bundleDiscard), nil })
	if err != nil {
		c.log.Debug("openflow: discard a bundle", "error", err)
	}
}

// Apply makes one change of a flow and returns when it is done.
func (c *Conn) Apply(ctx context.Context, cmd Command, f *flows.Flow) error {
	x := change{flow: FlowMod{Command: cmd, Flow: f}}
	return c.batch(ctx, 1,
		func(b []byte, _ int, xid uint32) []byte { return x.append(b, xid) },
		func(int) string { return x.String() })
}
