"""What a running application holds, made once a process and handed to whoever asks for it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from course_supporter.config import Config, load_config
from course_supporter.database import make_engine
from course_supporter.outliner import Outliner
from course_supporter.prompts import load_outline_prompt
from course_supporter.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Services:
    settings: Settings
    config: Config
    engine: Engine
    outliner: Outliner


def make_services(settings: Settings) -> Services:
    """Read everything that the application needs to start. Opens no connection. Raises ConfigurationError."""
    config = load_config(settings.home)
    outline = config.outline
    prompt = load_outline_prompt(settings.home, outline.prompt_version)
    return Services(
        settings=settings,
        config=config,
        engine=make_engine(settings, config.database),
        outliner=Outliner(settings, outline, prompt),
    )


def _services(request: Request) -> Services:
    return cast("Services", request.app.state.services)


ServicesDep = Annotated[Services, Depends(_services)]


def _session(services: ServicesDep) -> Iterator[Session]:
    with Session(services.engine, expire_on_commit=False) as session:
        yield session


SessionDep = Annotated[Session, Depends(_session)]
