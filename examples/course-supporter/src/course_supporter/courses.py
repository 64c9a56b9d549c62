"""`/courses`: create, read, list, delete, and draft an outline."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from course_supporter.errors import Problem
from course_supporter.models import Course, Outline
from course_supporter.outliner import Draft
from course_supporter.services import Services, ServicesDep, SessionDep

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/courses", tags=["courses"])


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain the NUL character")  # PostgreSQL's text cannot hold it
    return value


class CourseIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
        AfterValidator(_without_nul),
    ]
    description: Annotated[str, StringConstraints(max_length=20_000), AfterValidator(_without_nul)] = ""


class CourseOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    title: str
    description: str
    created_at: datetime


class CoursePage(BaseModel):
    items: list[CourseOut]
    total: int


class OutlineOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    course_id: UUID
    text: str
    model: str
    prompt_version: str
    created_at: datetime


@router.post("", status_code=HTTPStatus.CREATED)
def create_course(body: CourseIn, session: SessionDep) -> CourseOut:
    course = Course(title=body.title, description=body.description)
    session.add(course)
    try:
        session.commit()
    except IntegrityError as error:
        raise Problem(HTTPStatus.CONFLICT, "title_taken", "A course of this title exists already.") from error
    log.info("course created", course_id=str(course.id))
    return CourseOut.model_validate(course)


@router.get("")
def list_courses(
    services: ServicesDep,
    session: SessionDep,
    limit: Annotated[int | None, Query(ge=1)] = None,
    # The upper bound is that of PostgreSQL's bigint.
    offset: Annotated[int, Query(ge=0, lt=2**63)] = 0,
) -> CoursePage:
    pages = services.config.courses
    size = min(limit or pages.page_size, pages.max_page_size)
    query = select(Course).order_by(Course.created_at, Course.id).limit(size).offset(offset)
    items = [CourseOut.model_validate(course) for course in session.scalars(query)]
    total = session.scalar(select(func.count()).select_from(Course)) or 0
    return CoursePage(items=items, total=total)


@router.get("/{course_id}")
def read_course(course_id: UUID, session: SessionDep) -> CourseOut:
    return CourseOut.model_validate(_course(session, course_id))


@router.delete("/{course_id}", status_code=HTTPStatus.NO_CONTENT)
def delete_course(course_id: UUID, session: SessionDep) -> None:
    deleted = session.scalar(delete(Course).where(Course.id == course_id).returning(Course.id))
    session.commit()
    if deleted is None:
        raise _no_course(course_id)
    log.info("course deleted", course_id=str(course_id))


@router.post("/{course_id}/outline", status_code=HTTPStatus.CREATED)
async def create_outline(course_id: UUID, services: ServicesDep) -> OutlineOut:
    # The model may think for a minute. No connection is held meanwhile, and no thread: a stopping
    # server can cancel a coroutine, but it would have to wait for a thread.
    course = await run_in_threadpool(_read_for_outline, services, course_id)
    draft = await services.outliner.draft(title=course.title, description=course.description)
    return await run_in_threadpool(_store_outline, services, course_id, draft)


@router.get("/{course_id}/outline")
def read_outline(course_id: UUID, session: SessionDep) -> OutlineOut:
    """The newest outline of a course."""
    _course(session, course_id)
    newest = Outline.created_at.desc(), Outline.id
    outline = session.scalar(select(Outline).where(Outline.course_id == course_id).order_by(*newest).limit(1))
    if outline is None:
        raise Problem(HTTPStatus.NOT_FOUND, "outline_not_found", f"Course {course_id} has no outline yet.")
    return OutlineOut.model_validate(outline)


def _course(session: Session, course_id: UUID) -> Course:
    course = session.get(Course, course_id)
    if course is None:
        raise _no_course(course_id)
    return course


def _no_course(course_id: UUID) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "course_not_found", f"There is no course {course_id}.")


def _read_for_outline(services: Services, course_id: UUID) -> CourseOut:
    with Session(services.engine) as session:
        return CourseOut.model_validate(_course(session, course_id))


def _store_outline(services: Services, course_id: UUID, draft: Draft) -> OutlineOut:
    outline = Outline(
        course_id=course_id, text=draft.text, model=draft.model, prompt_version=draft.prompt_version
    )
    with Session(services.engine, expire_on_commit=False) as session:
        session.add(outline)
        try:
            session.commit()
        except IntegrityError as error:  # deleted while the model was thinking
            raise _no_course(course_id) from error
    log.info("outline stored", course_id=str(course_id), prompt_version=draft.prompt_version)
    return OutlineOut.model_validate(outline)
