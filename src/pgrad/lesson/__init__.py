"""The lesson: pgrad's own training and mathematics in any browser. docs/lesson.md tells how it is built and served."""
