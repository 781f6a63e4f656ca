"""What every part of the running kit is handed: settings, secrets and the database."""

from dataclasses import dataclass

from mri_guard.errors import SettingsError
from services.db.session import Database
from services.identity import service as identity
from services.secrets import Secrets, load_or_create
from services.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """One deployment, opened."""

    settings: Settings
    secrets: Secrets
    database: Database

    @classmethod
    def open(cls, settings: Settings) -> "Context":
        """The deployment, made ready: folders, secrets, tables and, at the first start, `admin`.

        The first admin's key lies in `home/secrets/admin-api-key`, readable by its owner alone.

        Raises:
            SettingsError: a secret has the wrong length or others may read it.
        """
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        secrets = load_or_create(settings.home)
        database = Database(settings.database)
        database.migrate()
        key_file = settings.home / "secrets" / "admin-api-key"
        with database.transaction() as session:
            identity.ensure_admin(session, secrets.audit_key, key_file)
        return cls(settings, secrets, database)

    @classmethod
    def existing(cls, settings: Settings) -> "Context":
        """A deployment as it stands; makes nothing, so that no empty log passes for an intact one.

        Raises:
            SettingsError: there is none, or a secret has the wrong length or others may read it.
        """
        database = Database(settings.database)
        if not (settings.home / "secrets" / "audit.key").exists() or not database.exists():
            raise SettingsError("no deployment under MRI_GUARD_HOME")
        return cls(settings, load_or_create(settings.home), database)

    def close(self) -> None:
        """Lets the database go."""
        self.database.dispose()
