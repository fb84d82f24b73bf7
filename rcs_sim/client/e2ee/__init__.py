"""RCC.16 on a phone: enrolment, encrypted conversations, their repair and their end."""
