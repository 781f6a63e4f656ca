"""Is the image as good as those that the bundle was calibrated on, and of the same kind?"""

from dataclasses import dataclass

from mri_guard.errors import BundleError
from mri_guard.records import Rejection, Scan
from mri_guard.sanitize.learnt_heads import LearntHeads
from mri_guard.sanitize.limits import Limits
from mri_guard.sanitize.look import look
from mri_guard.sanitize.measures import measures


@dataclass(frozen=True, slots=True)
class WithinLimits:
    """Refuses a scan that deviates further than clean scans do (`limits`, one joint rule).

    The reason is that of the measure which deviates most, e.g. `quality-noise`.
    """

    heads: LearntHeads
    limits: Limits
    name: str = "within_limits"

    def __post_init__(self) -> None:
        """Refuses limits that would leave a measure out, or that too few scans stand behind.

        Raises:
            BundleError: limits and measures do not fit.
            NotCalibratedError: too few calibration scans.
        """
        wanted = {measure.name for measure in measures(self.heads)}
        if wanted != set(self.limits.normals):
            differ = ", ".join(sorted(wanted ^ set(self.limits.normals)))
            raise BundleError(f"limits and measures of voxels do not fit: {differ}")
        self.limits.rank()

    def __call__(self, scan: Scan, /) -> Rejection | None:
        """Why the volume is refused, or None."""
        seen = look(scan)
        every = {measure.name: measure for measure in measures(self.heads)}
        values = {name: measure(seen) for name, measure in every.items()}
        deviations = self.limits.deviations(values)
        worst = max(deviations, key=deviations.__getitem__)
        highest = self.limits.highest
        if deviations[worst] > highest:
            return Rejection(
                every[worst].reason,
                f"{worst} {values[worst]:.3g} seen, {self.limits.normals[worst].centre:.3g} usual: "
                f"{deviations[worst]:.1f} spreads away; {highest:.1f} allowed",
            )
        return None
