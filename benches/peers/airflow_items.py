"""The same items as a dynamically mapped task of Airflow."""
from datetime import datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG
import os

with DAG("many", schedule=None, start_date=datetime(2026, 1, 1), max_active_tasks=50):
    BashOperator.partial(task_id="item", bash_command="true", max_active_tis_per_dag=50).expand(
        env=[{"N": str(n)} for n in range(int(os.environ["ITEMS"]))])
