// SPDX-License-Identifier: Apache-2.0

package bolt

import "syscall"

// networkFS returns the name of the network file system that contains dir. It
// returns "" for a local or an unknown one. The numbers are those of statfs(2).
func networkFS(dir string) string {
	var fs syscall.Statfs_t
	if syscall.Statfs(dir, &fs) != nil {
		return ""
	}
	switch uint32(fs.Type) {
	case 0x6969:
		return "NFS"
	case 0x517b, 0xff534d42, 0xfe534d42:
		return "SMB"
	case 0x65735546: // sshfs, s3fs, shared folders of virtual machines
		return "FUSE"
	case 0x5346414f, 0x6b414653:
		return "AFS"
	case 0x00c36400:
		return "Ceph"
	case 0x01021997:
		return "9P"
	case 0x0bd00bd0:
		return "Lustre"
	case 0x47504653:
		return "GPFS"
	case 0x73757245:
		return "Coda"
	}
	return ""
}
