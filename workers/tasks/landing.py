"""Lands finished work, one bead at a time a project."""

from dispatch.bus.celery import LAND_TASK
from dispatch.models.identity import ProjectId
from workers.app import app
from workers.process import system
from workers.settling import land_project


@app.task(name=LAND_TASK, ignore_result=True)
def land(project_id: str) -> int:
    """Land what waits in a project; return how many beads were decided on."""
    return land_project(system(), ProjectId(project_id))
