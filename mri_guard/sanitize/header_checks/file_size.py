"""Is the file of a size that an image can have?"""

from dataclasses import dataclass

from mri_guard.records import InstanceHeader, Rejection


@dataclass(frozen=True, slots=True)
class FileSize:
    """Refuses an empty file (`file-empty`) and one over the limit (`file-too-large`)."""

    max_bytes: int = 2 * 2**30
    name: str = "file_size"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        if instance.size_bytes == 0:
            return Rejection("file-empty", "0 bytes")
        if instance.size_bytes > self.max_bytes:
            return Rejection(
                "file-too-large",
                f"{instance.size_bytes / 2**20:.0f} MiB; {self.max_bytes >> 20} allowed",
            )
        return None
