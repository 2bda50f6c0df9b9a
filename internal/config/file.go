package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

const (
	// maxBytes bounds all files of a configuration together.
	maxBytes = 16 << 20
	// maxReads is how often a file that changes while it is read is read anew.
	maxReads = 3
)

// file is one file of a configuration.
type file struct {
	name string
	data []byte
}

// files names what a path stands for: itself, or the *.yaml in a folder,
// sorted.
func files(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".yaml" && !e.IsDir() {
			names = append(names, filepath.Join(path, e.Name()))
		}
	}
	if len(names) == 0 {
		return nil, errors.New("the folder holds no *.yaml file: write one, or give the file's own name")
	}
	slices.Sort(names)
	return names, nil
}

// readAll reads the files of a path, maxBytes of them at most.
func readAll(path string) ([]file, Mistakes) {
	names, err := files(path)
	if err != nil {
		return nil, Mistakes{{File: path, Message: reasonOf(err)}}
	}
	var list []file
	var mistakes Mistakes
	room := int64(maxBytes)
	for _, name := range names {
		data, err := readStable(name, room)
		if err != nil {
			mistakes = append(mistakes, Mistake{File: name, Message: reasonOf(err)})
			continue
		}
		room -= int64(len(data))
		list = append(list, file{name, data})
	}
	return list, mistakes
}

// reasonOf is an error of the file system without the path, which a Mistake
// names itself.
func reasonOf(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return "cannot be read: " + pe.Err.Error()
	}
	return err.Error()
}

// readStable reads a regular file of at most room octets as it was at one
// moment: one that somebody writes to meanwhile is read again.
func readStable(name string, room int64) ([]byte, error) {
	for range maxReads {
		data, same, err := readOnce(name, room)
		if err != nil || same {
			return data, err
		}
	}
	return nil, errors.New("changes while it is read: write the new one beside it, then rename it into place")
}

func readOnce(name string, room int64) (data []byte, same bool, err error) {
	// A pipe opened without O_NONBLOCK waits for its writer.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	if !before.Mode().IsRegular() {
		return nil, false, errors.New("is no regular file: give a file or a folder of *.yaml")
	}
	if before.Size() <= room {
		data, err = io.ReadAll(io.LimitReader(f, room+1))
	}
	if err != nil {
		return nil, false, err
	}
	if before.Size() > room || int64(len(data)) > room {
		return nil, false, fmt.Errorf("the configuration is longer than %d octets: shorten it", maxBytes)
	}
	after, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	return data, after.Size() == int64(len(data)) && after.ModTime().Equal(before.ModTime()), nil
}
