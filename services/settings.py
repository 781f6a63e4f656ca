"""Deployment settings, from `MRI_GUARD_*`; nothing else reads the environment."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

import bundles


class Settings(BaseSettings):
    """Where the kit runs. The science lives in the bundle, not here."""

    model_config = SettingsConfigDict(env_prefix="MRI_GUARD_", frozen=True, extra="forbid")

    home: Path = Path("var/mri-guard")
    """Spool, results, secrets and the embedded database."""

    database_url: SecretStr | None = None
    """SQLAlchemy URL, which may hold a password; None is SQLite under `home`."""

    bundle: Path = bundles.DEFAULT
    """Folder of the bundle that scores."""

    http_host: str = "127.0.0.1"
    http_port: int = Field(8080, ge=0, le=65535)
    dicom_host: str = "127.0.0.1"
    dicom_port: int = Field(11112, ge=0, le=65535)
    ae_title: str = Field("MRIGUARD", min_length=1, max_length=16)
    """Application entity title of our DICOM node (PS3.8 9.3.2)."""

    allowed_ae_titles: tuple[str, ...] = ()
    """Calling AE titles that may store; empty lets any in, which suits loopback alone."""

    quiet_seconds: float = Field(10.0, gt=0)
    """A series is complete when no instance has come for so long."""

    lease_seconds: float = Field(300.0, gt=0)
    """A worker that is silent for so long loses its job to another."""

    max_attempts: int = Field(3, ge=1)
    """After so many lost leases a job ends in quarantine."""

    claim_minutes: float = Field(30.0, gt=0)
    """A radiologist's claim on a case ends after so long without a decision."""

    blind_share: float = Field(0.0, ge=0, le=1, allow_inf_nan=False)
    """Share of studies whose readers record a first impression before the model speaks; 0 is none,
    1 is all."""

    blind_seed: int = Field(0, ge=0)
    """Of the draw of those studies."""

    max_instance_mb: int = Field(512, gt=0)
    """A larger instance is refused on the wire."""

    max_upload_mb: int = Field(2048, gt=0)
    """A larger HTTP body is refused."""

    min_free_disk_mb: int = Field(1024, ge=0)
    """With less room than this the spool refuses, so that what it acknowledged stays whole."""

    sender_window_seconds: int = Field(60, ge=1, le=86400)
    """Over so many seconds a sender's rate is counted."""

    sender_window_instances: int = Field(30_000, ge=1)
    """So many instances a window; one busy association brings some 9000 a minute."""

    sender_window_gb: int = Field(30, ge=1)
    """So much a window; an enhanced multi-frame of 500 MB every second is as much."""

    sender_quota_instances: int = Field(15_000_000, ge=1)
    """So many instances a day (UTC): what a busy association of a migration brings in one."""

    sender_quota_gb: int = Field(10_000, ge=1)
    """So much a day: a link of 1 Gbit/s, busy all day."""

    sender_associations: int = Field(8, ge=1)
    """DICOM associations of one sender at a time."""

    max_associations: int = Field(10, ge=1)
    """DICOM associations at a time; each may hold twice the largest instance in memory."""

    max_series_instances: int = Field(20_000, ge=1)
    """Instances of one series; a functional series in single frames has some 10 000."""

    max_study_instances: int = Field(60_000, ge=1)
    """Instances of one study."""

    probing_near_duplicates: int = Field(8, ge=2)
    """So many series that hardly differ are taken for probing, this one included."""

    probing_window_hours: float = Field(168.0, gt=0)
    """Within so many hours."""

    audit_anchor: Path | None = None
    """File that receives the head of the audit chain; put it on another host."""

    @property
    def database(self) -> str:
        """SQLAlchemy URL in force."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.home / 'mri-guard.sqlite3'}"
